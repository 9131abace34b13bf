"""From configuration to rules: the same book and the same numbers for both engines."""

import numpy as np

from jaxtrade.config import EnvConfig
from jaxtrade.rules import RuleBook, RuleParams, make_rule_book


def rule_book(env: EnvConfig) -> RuleBook:
    """Return the static half of the rules."""
    return make_rule_book(action=env.action, reward=env.reward, allow_short=env.allow_short)


def rule_params(env: EnvConfig) -> RuleParams:
    """Return the rules' numbers as float64 arrays; percentages become fractions here and nowhere else."""
    return RuleParams(
        buy_rate=np.array([env.costs.buy_percent / 100]),
        sell_rate=np.array([env.costs.sell_percent / 100]),
        max_leverage=np.array(env.max_leverage),
        maintenance_margin=np.array(env.maintenance_margin_percent / 100),
        ruin_floor=np.array(env.ruin_percent / 100),
        dead_band=np.array([env.dead_band]),
        trade_limit=np.array([env.trade_limit_percent / 100]),
    )
