"""Bars for the rewards, without an account: records of any profit, episodes of them, and rewards run over them."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrade.rules import Costs, Record, RewardParams
from jaxtrade.rules.rewards import Reward
from tests.helpers.plain_rewards import Bar, Numbers
from tests.helpers.rule_worlds import Array

NUMBERS = Numbers(gain_weight=1.5, loss_weight=2.0, idle_decay=0.001, trade_penalty=0.0005, adaptation=0.03)


def params_of(numbers: Numbers = NUMBERS, weights: tuple[float, ...] = (1.0,)) -> RewardParams:
    """Return the numbers as the rules read them."""
    return RewardParams(np.array(weights), *(np.array(number) for number in numbers))


def record_of(pnl: Any, equity: Any = 1.0, **fields: Any) -> Record:
    """Return the record of a bar with what a reward reads, for any number of accounts in two symbols."""
    pnl = np.asarray(pnl, float)
    zero, symbols = np.zeros_like(pnl), np.zeros((*pnl.shape, 2))
    base: dict[str, Any] = dict.fromkeys(Record._fields, zero) | {"costs": Costs(zero, zero, zero, zero)}
    by_symbol = ("fill_value", "mark_value", "exit_value", "fill_fees", "mark_fees", "filled_lots", "idle")
    base |= dict.fromkeys(by_symbol, symbols)
    base |= dict.fromkeys(("blocked", "rejected"), symbols > 0) | dict.fromkeys(("called", "ruined"), zero > 0)
    base |= {"equity_before": zero + equity, "equity": equity + pnl, "pnl": pnl}
    return Record(**base | {name: np.asarray(value) for name, value in fields.items()})


def run(reward: Reward, records: list[Record], params: RewardParams | None = None, xp: Any = np) -> Array:
    """Return the rewards of an episode, [bars, ...]; compiled and in float32 where `xp` is jax.numpy."""
    params = params_of() if params is None else params
    memory = tuple(np.zeros_like(records[0].pnl) + start for start in reward.start)
    if xp is jnp:
        bars = jax.tree.map(lambda *leaves: np.stack(leaves), *records)
        memory, bars, params = jax.tree.map(_narrow, (memory, bars, params))
        _, found = jax.jit(lambda *start: jax.lax.scan(lambda m, bar: reward.step(jnp, m, bar, params), *start))(
            memory, bars
        )
        return np.asarray(found)
    found = []
    for record in records:
        memory, value = reward.step(np, memory, record, params)
        found.append(value)
    return np.stack(found)


def _narrow(leaf: Array) -> jax.Array:
    return jnp.asarray(leaf, None if leaf.dtype == bool else jnp.float32)


@dataclass
class Episode:
    """Random bars of several accounts; returns fat-tailed, with a drift, far from -1."""

    seed: int = 0
    bars: int = 200
    accounts: int = 3
    volatility: float = 0.02
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        random, equity = np.random.default_rng(self.seed), np.ones(self.accounts)
        for _ in range(self.bars):
            r = np.clip(random.standard_t(4, self.accounts) * self.volatility + 0.001, -0.5, 0.5)
            trades = random.random(self.accounts) < 0.5
            self.records.append(
                record_of(
                    r * equity,
                    equity,
                    realized=random.normal(0, 0.05, self.accounts) * trades,
                    closing_fees=random.uniform(0, 0.01, self.accounts) * trades,
                    turnover=random.random(self.accounts) * trades,
                    idle=random.integers(0, 60, (self.accounts, 2)).astype(float),
                )
            )
            equity = equity * (1 + r)

    def plain(self, account: int) -> list[Bar]:
        """Return one account's bars for the reference."""
        names = ("equity_before", "pnl", "realized", "closing_fees", "idle", "turnover")
        return [Bar(*(getattr(record, name)[account].tolist() for name in names)) for record in self.records]


def episode_of(returns: Array) -> Episode:
    """Return the episode of one account with these returns, which holds and does not trade."""
    equity = np.cumprod(np.r_[1, 1 + returns])[:-1]
    records = [record_of([r * before], before) for r, before in zip(returns, equity, strict=True)]
    return Episode(bars=0, accounts=1, records=records)


NOISE = np.random.default_rng(8).normal(0, 0.01, 60)
SPELLS = {
    "flat from the start": np.zeros(400),
    "flat after noise": np.r_[NOISE, np.zeros(900), NOISE],
    "constant": np.full(300, 0.001),
    "one gain in a flat market": np.r_[np.zeros(100), 0.05, np.zeros(100), -0.05, np.zeros(50)],
    "ruin": np.r_[NOISE, -0.98, np.zeros(50)],
    "boom and bust": np.tile([9.0, -0.9], 60),
    "the smallest numbers": np.tile([1e-30, -1e-30, 0.0], 50),
}
