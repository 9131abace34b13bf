"""Many accounts in one pass: a stress grid of costs, several seeds, or a thousand time-shifted nulls.

A lane is an account with numbers of its own, or a first bar of its own, or both; each walks as `run_backtest` would
walk it alone, to the last bit. There are no ledgers here: what a lane does is proven by the backtest of that lane.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from eval_bridge.backtester import market_row
from eval_bridge.policy import NumpyPolicy
from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.errors import InputError
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import Account, AccountView, Record, RuleParams, advance, observe, open_account

FloatArray = npt.NDArray[np.float64]
Bars = npt.NDArray[np.intp]
LanesActor = Callable[[Bars, AccountView], Any]  # bars [K], accounts [K, ...] -> actions [K] or [K, N]
SUMS = ("costs", "borrow", "interest", "income", "exit_loss", "shortfall", "realized", "turnover", "reward")


class Wide:
    """NumPy for many accounts: a sum over one symbol costs nothing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def sum(x: Any, axis: int, keepdims: bool = False) -> Any:
        """Sum, as NumPy does."""
        if axis == -1 and x.shape[-1] == 1:
            return x if keepdims else x[..., 0]
        return np.sum(x, axis=axis, keepdims=keepdims)


@dataclass
class Lanes:
    """What `K` accounts did over at most `L` bars. After its ruin a lane does nothing, and its equity stays."""

    starts: Bars  # [K] bar of each lane's first decision
    equity: FloatArray  # [L + 1, K] at the marks in money, the first before any trade
    lived: Bars  # [K] decisions taken
    ruined: npt.NDArray[np.bool_]  # [K]
    sums: dict[str, FloatArray]  # [K] of each figure of the record over the bars, costs by kind; multiples of capital
    kept: dict[str, npt.NDArray[Any]] = field(default_factory=dict)  # [L, K, ...] fields asked for; 0 after ruin


def run_lanes(
    table: MarketTable,
    starts: Sequence[int] | Bars,
    steps: int,
    config: EnvConfig,
    actor: LanesActor,
    params: RuleParams | None = None,
    keep: Sequence[str] = (),
) -> Lanes:
    """Trade `K` accounts side by side.

    Args:
        table: The market, which all lanes share.
        starts: [K] bar of each lane's first decision.
        steps: Decisions of each lane.
        config: The rules.
        actor: Asked once per bar for the actions of all lanes, ruined ones too, whose answer goes unheard.
        params: The rules' numbers; leaves of rank one more than usual differ by lane ([K, 1] or [K, N], [K] for those
            without symbols). Those of the configuration by default.
        keep: Fields of the record to keep.

    Raises:
        InputError: A lane begins before the first decision of the table or ends after its last bar.
    """
    first = np.array(starts, np.intp)
    _check(table, first, steps)
    book = rule_book(config)
    params = rule_params(config, table.symbols) if params is None else params
    account = open_account(np, book, np.zeros((len(first), len(table.symbols))))
    tally = _Tally(len(first), steps, keep)
    xp = Wide()
    for step in range(steps):
        bars = first + step
        known, outcome = market_row(table, bars)
        action = np.asarray(actor(bars, observe(xp, book, account, known, params)))
        after, record = advance(xp, book, params, account, action, known, outcome)
        account = after if tally.all_alive else _choose(tally.alive, after, account)
        tally.add(step, record)
        if not tally.alive.any():
            break
    return tally.result(first, params)


def policy_lanes(policy: NumpyPolicy, table: MarketTable, starts: Sequence[int] | Bars, steps: int) -> LanesActor:
    """Return the deterministic actor of a policy; every bar is encoded once, however many lanes cross it."""
    first = int(np.min(starts))
    market = policy.market(table.features, np.arange(first, int(np.max(starts)) + steps))
    return lambda bars, view: policy.act(policy.head(market[bars - first], view))


def _check(table: MarketTable, first: Bars, steps: int) -> None:
    whole = table.ranges["all"]
    low, high = (int(first.min()), int(first.max())) if len(first) else (0, -1)
    if steps < 1 or low < whole.first or high + steps > whole.last or high < low:
        raise InputError(
            "lanes",
            f"{len(first)} lanes of {steps} decisions from bar {low} to {high + steps}",
            f"Take one lane and one decision at least, between bar {whole.first} and {whole.last}",
        )


def _choose(alive: npt.NDArray[np.bool_], after: Account, before: Account) -> Account:
    """Return the accounts after the bar of those alive, and as they were of the others."""

    def choose(new: Any, old: Any) -> Any:
        if isinstance(new, tuple):
            return tuple(map(choose, new, old))
        return np.where(alive if new.ndim == 1 else alive[:, None], new, old)

    return Account(*map(choose, after, before))


class _Tally:
    """What the lanes have done so far."""

    def __init__(self, lanes: int, steps: int, keep: Sequence[str]) -> None:
        self.equity = np.ones((steps + 1, lanes))
        self.alive, self.all_alive = np.ones(lanes, bool), True
        self.lived, self.steps, self.keep = np.zeros(lanes, np.intp), steps, keep
        self.sums: dict[str, FloatArray] = {}
        self.kept: dict[str, npt.NDArray[Any]] = {}

    def add(self, step: int, record: Record) -> None:
        """Add a bar of those that were alive before it."""
        here = record.equity if self.all_alive else np.where(self.alive, record.equity, self.equity[step])
        self.equity[step + 1] = here
        for name in SUMS:
            value = getattr(record, name)
            parts = value._asdict() if name == "costs" else {name: value}
            for part, amount in parts.items():
                mine = amount if self.all_alive else np.where(self.alive, amount, 0.0)
                self.sums[part] = self.sums[part] + mine if part in self.sums else mine + np.zeros(len(self.alive))
        for name in self.keep:
            self._keep(step, name, getattr(record, name))
        self.lived += self.alive
        if record.ruined.any():
            self.equity[step + 1 :] = here
            self.alive = self.alive & ~record.ruined
            self.all_alive = False

    def _keep(self, step: int, name: str, value: Any) -> None:
        if name not in self.kept:
            self.kept[name] = np.zeros((self.steps, *value.shape), value.dtype)
        alive = self.alive.reshape(-1, *(1,) * (value.ndim - 1))
        self.kept[name][step] = np.where(alive, value, np.zeros_like(value))

    def result(self, starts: Bars, params: RuleParams) -> Lanes:
        """Return all of it."""
        equity = self.equity * params.capital
        return Lanes(starts, equity, self.lived, ~self.alive, self.sums, self.kept)
