"""Rewards by name: the rule book's own, or a user's `package.module:function`."""

from typing import Any

import numpy as np

from jaxtrade.errors import InputError, did_you_mean
from jaxtrade.importing import import_object
from jaxtrade.rules.rewards import REWARDS, Reward, stateless
from jaxtrade.rules.types import Costs, Record, RewardParams

REMEDY = "Give a function (xp, record) -> [...], or a jaxtrade.rules.Reward; see examples/my_reward.py"


def load_reward(name: str) -> Reward:
    """Return the reward of that name.

    Raises:
        InputError: There is none, it cannot be imported, or it does not return one number an account.
    """
    if name in REWARDS:
        return REWARDS[name]
    where = f"env.reward '{name}'"
    if ":" not in name:
        raise InputError(where, "no such reward", did_you_mean(name, REWARDS))
    found = import_object(where, name, REMEDY)
    reward = found if isinstance(found, Reward) else stateless(found) if callable(found) else None
    if reward is None:
        raise InputError(where, "is no reward", REMEDY)
    check_reward(where, reward)
    return reward


def check_reward(where: str, reward: Reward) -> None:
    """Call a user's reward once, for three accounts in two symbols.

    Raises:
        InputError: It fails, or returns the wrong shape or something that is not finite.
    """
    try:
        start, scale = (np.asarray(each, np.float64) for each in (reward.start, reward.scale))
        memory = tuple(np.full(3, value) for value in start)
        after, value = reward.step(np, memory, sample_record(), sample_params())
        sound = len(start) == len(scale) == len(after) and isinstance(after, tuple) and bool(np.all(np.isfinite(scale)))
        sound = sound and all(_is_answer(each) for each in (value, *after))
    except Exception as error:
        raise InputError(where, f"fails: {type(error).__name__}: {error}", REMEDY) from None
    if not sound:
        what = f"does not return one finite number an account and its {len(start)} accumulators as a tuple"
        raise InputError(where, what, REMEDY)


def _is_answer(value: Any) -> bool:
    """True for three finite numbers in an array."""
    if not isinstance(value, np.ndarray) or value.shape != (3,) or value.dtype.kind != "f":
        return False
    return bool(np.isfinite(value).all())


def sample_record() -> Record:
    """Return a record of three accounts in two symbols, float64."""
    account, symbol = np.array([0.0, 0.01, -0.02]), np.zeros((3, 2))
    fields: dict[str, Any] = {name: np.zeros(3) for name in Record._fields}
    fields |= {"equity_before": np.ones(3), "equity": 1 + account, "pnl": account, "costs": Costs(*(np.zeros((4, 3))))}
    by_symbol = ("fill_value", "mark_value", "exit_value", "fill_fees", "mark_fees", "filled_lots", "idle")
    fields |= dict.fromkeys(by_symbol, symbol)
    fields |= dict.fromkeys(("blocked", "rejected"), symbol > 0)
    fields |= dict.fromkeys(("called", "ruined"), account > 1)
    return Record(**fields)


def sample_params() -> RewardParams:
    """Return reward parameters for `sample_record`."""
    return RewardParams(np.ones(1), *(np.array(0.5) for _ in RewardParams._fields[1:]))
