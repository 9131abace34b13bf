"""Accounts that are led to weights: what the baselines and the shifted null are made of."""

from typing import Any

import numpy as np

from eval_bridge.metrics.values import FloatArray
from jaxtrade.config import EnvConfig
from jaxtrade.rules import AccountView

LIMIT_PERCENT = 10_000.0  # of equity, traded by an action of 1: more than any order is


def weight_rules(config: EnvConfig) -> EnvConfig:
    """Return the rules of an account that is led to weights: costs, lots, shorts, leverage and margin of the policy.

    The limits on the size of an order and of a position are lifted, as for buy and hold. The reward is left out: it
    moves no money.
    """
    rules = {"action": "continuous", "dead_band": 0.0, "trade_limit_percent": LIMIT_PERCENT}
    limits = {"max_trade_percent": None, "max_position_percent": None}
    return config.model_copy(update=rules | limits | {"reward": {"log_return": 1.0}})


def weights_now(view: AccountView) -> FloatArray:
    """Return the weights of the positions that an account shows, [..., S]."""
    return np.asarray(np.arctanh(view.assets[..., 0]))


def toward(target: FloatArray, view: AccountView) -> Any:
    """Return the action that trades to weights under `weight_rules`, [..., S]; where a target is NaN it holds."""
    order = target - weights_now(view)
    return np.where(np.isfinite(order), order, 0.0) / (LIMIT_PERCENT / 100)
