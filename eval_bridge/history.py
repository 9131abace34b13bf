"""What happened in a backtest, bar by bar."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eval_bridge.books.ledger import Ledger, LotMethod
from eval_bridge.straight_line.rows import Rules
from eval_bridge.straight_line.write import leaves, rebuild
from jaxtrade.assemble import capital
from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import Account, AccountView, Record

FloatArray = npt.NDArray[np.float64]
Leaves = tuple[Any, ...]


class Step(NamedTuple):
    """One bar of the history."""

    bar: int  # the decision was taken at its close; the figures are of the close after it
    action: Any
    value: float
    view: AccountView  # what the policy saw of its account
    account: Account
    record: Record

    @property
    def reward(self) -> float:
        """Reward of the bar."""
        return float(self.record.reward)


class History:
    """The bars of a backtest. They are kept as plain rows and become steps when they are looked at."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._rows: list[tuple[int, Any, float, AccountView, Leaves]] = []
        self._steps: list[Step] = []

    def append(self, bar: int, action: Any, value: float, view: AccountView, row: Leaves) -> None:
        """Add a bar; `row` is what `Rules.advance` returned."""
        self._rows.append((bar, action, value, view, row))

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def steps(self) -> list[Step]:
        """The bars."""
        self._steps += map(self._step, self._rows[len(self._steps) :])
        return self._steps

    def last(self) -> Step:
        """Return the last bar."""
        return self._step(self._rows[-1])

    def stacked(self) -> tuple[Account, Record]:
        """Return accounts and records of all bars, leaves [K], [K, N]."""
        like, count = self._rules.like, len(self._rows)
        columns = list(zip(*(row[-1] for row in self._rows), strict=True)) or [()] * len(leaves(like))
        shaped = (
            np.array(column, np.asarray(leaf).dtype).reshape(count, *np.shape(leaf))
            for column, leaf in zip(columns, leaves(like), strict=True)
        )
        both: tuple[Account, Record] = rebuild(like, shaped)
        return both

    @property
    def actions(self) -> npt.NDArray[Any]:
        """Actions, [K] or [K, N]."""
        return np.array([row[1] for row in self._rows])

    @property
    def views(self) -> AccountView:
        """What the policy saw of its account, leaves [K, ...]."""
        return AccountView(*map(np.stack, zip(*(row[3] for row in self._rows), strict=True)))

    @property
    def values(self) -> FloatArray:
        """What the policy expected, [K]."""
        return np.array([row[2] for row in self._rows], np.float64)

    def _step(self, row: tuple[int, Any, float, AccountView, Leaves]) -> Step:
        return Step(*row[:-1], *self._rules.records(row[-1]))

    def column(self, field: str) -> list[Any]:
        """Return a field of the record, one number or array per bar."""
        place = self._rules.place(field)
        return [row[-1][place] for row in self._rows]


@dataclass
class Backtest:
    """A finished backtest. `K` decisions."""

    table: MarketTable
    span: Range
    config: EnvConfig
    history: History
    ledger: Ledger
    lots: LotMethod = "fifo"

    @property
    def steps(self) -> list[Step]:
        """The bars, [K]."""
        return self.history.steps

    @cached_property
    def _stacked(self) -> tuple[Account, Record]:
        return self.history.stacked()

    @property
    def accounts(self) -> Account:
        """The account at every close after a decision, leaves [K], [K, N]; multiples of the capital."""
        return self._stacked[0]

    @property
    def records(self) -> Record:
        """What happened, leaves [K], [K, N]; multiples of the capital."""
        return self._stacked[1]

    @property
    def time(self) -> npt.NDArray[np.datetime64]:
        """Times of the marks, [K + 1], the first before any trade."""
        return self.table.time[self.span.first : self.span.first + len(self.history) + 1]

    @property
    def equity(self) -> FloatArray:
        """Equity at the marks in money, [K + 1]."""
        return np.array([1.0, *self.history.column("equity")]) * self.capital

    @property
    def capital(self) -> float:
        """Starting capital in money."""
        return capital(self.config)

    def series(self, field: str) -> FloatArray:
        """Return a field or a property of the record over the steps, [K] or [K, N]."""
        return np.asarray(getattr(self.records, field))
