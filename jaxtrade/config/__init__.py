"""Shared configuration: what a market table and the rules need. One definition is default, help text and file format.

Percentages are in percent (0.1 means 0.1 %); prices and rates elsewhere in the code are plain fractions.
"""

from jaxtrade.config.account import CostConfig, EnvConfig, RewardConfig, check_exposures
from jaxtrade.config.kinds import Count, Float, Int, Section, Share
from jaxtrade.config.market import Features, LoadConfig, MarketConfig, SplitConfig

__all__ = [
    "CostConfig",
    "Count",
    "EnvConfig",
    "Features",
    "Float",
    "Int",
    "LoadConfig",
    "MarketConfig",
    "RewardConfig",
    "Section",
    "Share",
    "SplitConfig",
    "check_exposures",
]
