"""Every reward along a backtest: what a policy would have been paid, had it been trained for another."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from eval_bridge.backtester import Backtest
from jaxtrade.assemble import rule_params
from jaxtrade.custom import load_reward
from jaxtrade.errors import InputError
from jaxtrade.rules import Costs, Record, Reward, RewardParams
from jaxtrade.rules.rewards import REWARDS

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
OLDER_NAMES = {"sharpe": "differential_sharpe", "sortino": "differential_sortino"}  # calmar and profit kept theirs


def reward_view(result: Backtest, names: Sequence[str] | None = None) -> "pd.DataFrame":
    """Return rewards along a backtest, [K, R]: a row per decision by the time of its mark, a column per name.

    Each reward starts with fresh accumulators at the first decision, as an account does.

    Args:
        result: The backtest.
        names: Rewards: those of the rule book, `sharpe` and `sortino` for the differential ratios, or a user's
            `package.module:function`. By default all of the rule book, and those that the policy was trained for.

    Raises:
        InputError: There is no such reward.
    """
    import pandas as pd

    chosen = list(dict.fromkeys((*REWARDS, *result.config.reward) if names is None else names))
    params, records = rule_params(result.config, result.table.symbols).reward, [step.record for step in result.steps]
    together = stack(records)
    columns = {name: evaluate_reward(find_reward(name), records, together, params) for name in chosen}
    return pd.DataFrame(columns, index=pd.Index(result.time[1:], name="time"))


def find_reward(name: str) -> Reward:
    """Return a reward by its name here, or by that of an older system.

    Raises:
        InputError: There is none.
    """
    return load_reward(OLDER_NAMES.get(name, name))


def stack(records: Sequence[Record]) -> Record:
    """Return one record of the bars' records, leaves [K, ...]."""
    fields = {name: [getattr(record, name) for record in records] for name in Record._fields}
    costs = Costs(*(np.stack(kind) for kind in zip(*fields.pop("costs"), strict=True)))
    return Record(costs=costs, **{name: np.stack(column) for name, column in fields.items()})


def evaluate_reward(reward: Reward, records: Sequence[Record], together: Record, params: RewardParams) -> FloatArray:
    """Return a reward at every bar, [K].

    Args:
        reward: The reward; one without accumulators is evaluated at all bars at once.
        records: The bars, one by one.
        together: The same, leaves [K, ...].
        params: Numbers of the rewards.

    Raises:
        InputError: It does not return one number a bar.
    """
    memory = tuple(np.float64(value) for value in reward.start)
    if not memory:
        paid = np.asarray(reward.step(np, memory, together, params)[1], np.float64)
        if paid.shape != (len(records),):
            raise InputError("reward", f"returns shape {paid.shape} for {len(records)} bars", "Return one number a bar")
        return paid
    paid = np.empty(len(records))
    for k, record in enumerate(records):
        memory, paid[k] = reward.step(np, memory, record, params)
    return paid
