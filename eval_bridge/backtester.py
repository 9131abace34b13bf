"""The stateful backtester: the same rules, one account, float64, its own books checked at every bar."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eval_bridge.ledger import Ledger
from eval_bridge.policy import NumpyPolicy
from eval_bridge.straight_line.rows import Rules, make_rules
from eval_bridge.straight_line.write import leaves
from jaxtrade.assemble import capital, rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import Account, AccountView, Known, Outcome, Record, RuleParams

FloatArray = npt.NDArray[np.float64]
Leaves = tuple[Any, ...]
Actor = Callable[[int, AccountView], tuple[Any, float]]  # (bar, account) -> action, value estimate


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

    def append(self, bar: int, action: Any, value: float, view: AccountView, row: Leaves) -> None:
        """Add a bar; `row` is what `Rules.advance` returned."""
        self._rows.append((bar, action, value, view, row))

    def __len__(self) -> int:
        return len(self._rows)

    @cached_property
    def steps(self) -> list[Step]:
        """The bars; ask when all are there."""
        records = self._rules.records
        return [Step(bar, action, value, view, *records(row)) for bar, action, value, view, row in self._rows]

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

    @property
    def steps(self) -> list[Step]:
        """The bars, [K]."""
        return self.history.steps

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
        return np.array([getattr(step.record, field) for step in self.steps])


def run_backtest(table: MarketTable, span: Range, config: EnvConfig, actor: Actor) -> Backtest:
    """Trade one account through a range.

    Args:
        table: The market; its float64 outcomes move the account.
        span: Decisions to take.
        config: The rules.
        actor: Asked at the close of every bar, with the account as it then stands.

    Raises:
        AssertionError: The ledger and the rule book disagree.
    """
    params = rule_params(config, table.symbols)
    rules = make_rules(rule_book(config), params, *market_row(table, span.first), discrete=config.choices is not None)
    books = Books(table, span, params, rules)
    history, state = History(rules), rules.start
    for bar, known, outcome in market_rows(table, span, rules.floats):
        view = AccountView(*rules.observe(*state, *known))
        action, value = actor(bar, view)
        row = rules.advance(state, action, known, outcome)
        state = row[: len(state)]
        books.book(bar, row)
        history.append(bar, action, value, view, row)
        if row[rules.ruined]:
            break
    books.ledger.audit()
    return Backtest(table, span, config, history, books.ledger)


def market_row(table: MarketTable, bar: int | npt.NDArray[np.intp]) -> tuple[Known, Outcome]:
    """Return row `bar` of the table, leaves [N], or the rows of bars [K], leaves [K, N]."""
    known = Known(*(None if leaf is None else leaf[bar] for leaf in table.known))
    return known, Outcome(*(None if leaf is None else leaf[bar] for leaf in table.outcome))


def market_rows(table: MarketTable, span: Range, floats: bool) -> Iterator[tuple[int, Leaves, Leaves]]:
    """Yield bar, known and outcome of every decision, leaves in a row; floats for one symbol, else arrays."""

    def columns(tree: Known | Outcome) -> Iterator[Leaves]:
        cut = [leaf[span.first : span.last] for leaf in leaves(tree)]
        return zip(*(leaf.ravel().tolist() if floats else list(leaf) for leaf in cut), strict=True)

    return zip(range(span.first, span.last), columns(table.known), columns(table.outcome), strict=True)


class Books:
    """Books what the rules did at every bar in a ledger of its own, and compares the two."""

    def __init__(self, table: MarketTable, span: Range, params: RuleParams, rules: Rules) -> None:
        self.table, self.money, self.symbols = table, float(params.capital), len(table.symbols)
        self.ledger = Ledger(table.symbols, cash=self.money)
        self.first, self.fill_bar, last = span.first, table.fill_bar, span.last
        self.mark: list[list[float]] = table.mark[span.first : last + 1].tolist()
        price = table.fill_price[span.first : last]
        price = np.where(np.isfinite(price), price, table.mark[span.first : last])
        spread = np.broadcast_to(params.half_spread + params.slippage, self.symbols)
        self.share = [(1 - share, 1 + share) for share in spread.tolist()]  # of the price: a seller's and a buyer's
        self.units = np.where(np.isfinite(price), self.money / price, 0.0)  # that a multiple of the capital buys
        self.bid, self.asked = price * (1 - spread), price * (1 + spread)
        self.price: list[list[float]] = price.tolist()
        self.nothing: dict[str, Any] = {}  # by kind, what was found to close nothing
        self.recovery = np.broadcast_to(params.recovery, self.symbols).tolist()
        self.lot_size = np.broadcast_to(params.lot_size, self.symbols).tolist()
        self.has_lots, self.vector = any(self.lot_size), not rules.floats
        names = ("position", "exit_value", "fill_value", "mark_value", "called", "lots", "cash", "equity")
        self.places = [rules.place(name) for name in names]
        costs = rules.place("costs")  # commission, duty, spread, slippage
        charges = ("borrow", "interest", "income", "shortfall")
        self.charges = (costs, costs + 1, *(rules.place(name) for name in charges))

    def book(self, bar: int, row: Leaves) -> None:
        """Book the bar between the close of `bar` and the next.

        Raises:
            AssertionError: The books differ.
        """
        position, exits, fills, sold, called, lots, cash, equity = (row[place] for place in self.places)
        ledger, money, mark = self.ledger, self.money, self.mark[bar - self.first + 1]
        self._close(exits, self.mark[bar - self.first], bar + 1, "delisting")
        if called:
            self._close(fills, self.price[bar - self.first], bar + self.fill_bar, "liquidation")
        elif self.vector:
            at = bar - self.first
            quantities = (fills * self.units[at]).tolist()
            paid = np.where(fills > 0, self.asked[at], self.bid[at]).tolist()
            ledger.fill_all(quantities, paid, (position + sold).tolist(), bar + self.fill_bar)
        elif fills:
            price = self.price[bar - self.first][0]
            paid = price * self.share[0][fills > 0]
            ledger.fill_all((fills * money / price,), (paid,), (position + sold,), bar + self.fill_bar)
        self._close(sold, mark, bar + 1, "liquidation")
        commission, duty, borrow, interest, income, shortfall = (row[place] * money for place in self.charges)
        ledger.charge((commission, duty, borrow, interest, -income, -shortfall))
        ledger.reconcile(self.table.time[bar + 1], mark, cash * money, equity * money)
        if self.has_lots:
            ledger.reconcile_lots(self.table.time[bar + 1], self.lot_size, np.atleast_1d(lots).tolist())

    def _close(self, values: Any, price: Sequence[float], bar: int, kind: str) -> None:
        """Book what closes altogether; the delisted are paid their recovery, everyone else pays the spread."""
        if self.vector:
            if values is self.nothing.get(kind) or not values.any():
                self.nothing[kind] = values
                return
        elif not values:
            return
        for n, value in enumerate(np.atleast_1d(values).tolist()):
            if value:
                share = self.recovery[n] if kind == "delisting" else self.share[n][value > 0]
                self.ledger.close(n, price[n] * share, bar, kind)


def policy_actor(policy: NumpyPolicy, table: MarketTable, span: Range) -> Actor:
    """Return the deterministic actor of a policy; the market is encoded once, before the first decision."""
    market = policy.market(table.features, np.arange(span.first, span.last))

    def act(bar: int, view: AccountView) -> tuple[Any, float]:
        decision = policy.head(market[bar - span.first], view)
        return policy.act(decision), float(decision.value)

    return act


def replay_actor(actions: npt.NDArray[Any], first: int) -> Actor:
    """Return the actor that repeats recorded actions, [K, ...], whatever the account says."""
    return lambda bar, view: (actions[bar - first], float("nan"))


def buy_and_hold(table: MarketTable, span: Range, config: EnvConfig) -> Backtest:
    """Put an equal share of the capital into every symbol at the first fill, through the same rules and costs."""
    symbols = len(table.symbols)
    rules = {"action": "continuous", "dead_band": 0.0, "trade_limit_percent": 100.0, "allow_short": False}
    limits = {"max_trade_percent": None, "max_position_percent": None}
    plain = config.model_copy(update=rules | limits)
    shares, nothing = np.full(symbols, 1 / symbols), np.zeros(symbols)
    return run_backtest(table, span, plain, lambda bar, view: (shares if bar == span.first else nothing, float("nan")))
