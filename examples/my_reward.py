"""Two rewards of your own, usable by name: `python -m train.ppo --env.reward examples.my_reward:steady_growth`.

A reward is a pure function of arrays. It gets the array namespace `xp` (jax.numpy in training, numpy in the backtest)
and what happened in one bar for any number of accounts; it returns one number for each of them. Use `xp` for all of it,
no `if` on array values, and divide by `record.equity_before`, so that the reward does not depend on the capital.
"""

from typing import Any

from jaxtrade.rules import Record, Reward, RewardParams


def steady_growth(xp: Any, record: Record) -> Any:
    """Log return less ten times its square: growth, with a price on variance."""
    growth = xp.log1p(record.pnl / record.equity_before)
    return growth - 10 * growth * growth


def _step(xp: Any, memory: tuple[Any, ...], record: Record, params: RewardParams) -> tuple[tuple[Any, ...], Any]:
    """A loss costs more, the deeper the account is below its best so far."""
    (depth,) = memory
    growth = xp.log1p(record.pnl / record.equity_before)
    depth = xp.maximum(depth - growth, xp.zeros_like(depth))
    return (depth,), growth - 0.1 * depth


# A reward that remembers names the first value of each accumulator, and a scale that brings it to about 1 in what the
# policy sees of it: tanh(scale * accumulator).
shallow_drawdown = Reward(_step, start=(0.0,), scale=(10.0,))
