"""The stateful backtester: the same rules, one account, float64, its own books checked at every bar."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from eval_bridge.books.audit import audit
from eval_bridge.books.booking import Books
from eval_bridge.books.ledger import Ledger, LotMethod, Mismatch
from eval_bridge.history import Backtest, History, Leaves, Step
from eval_bridge.policy import NumpyPolicy
from eval_bridge.straight_line.rows import Rules, make_rules
from eval_bridge.straight_line.write import leaves
from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import AccountView, Known, Outcome

Actor = Callable[[int, AccountView], tuple[Any, float]]  # (bar, account) -> action, value estimate
WATCHED = 250  # decisions between two calls of a watcher
__all__ = [
    "Actor",
    "Backtest",
    "Engine",
    "History",
    "Ledger",
    "LotMethod",
    "Mismatch",
    "Step",
    "buy_and_hold",
    "market_row",
    "policy_actor",
    "replay_actor",
    "run_backtest",
    "written_rules",
]


class Engine:
    """One account on its way through a range, decision by decision; `run_backtest` is a loop over it."""

    def __init__(
        self,
        table: MarketTable,
        span: Range,
        config: EnvConfig,
        *,
        lots: LotMethod = "fifo",
        rules: Rules | None = None,
    ) -> None:
        """Open the account at the close of the first bar.

        Args:
            table: The market; its float64 outcomes move the account.
            span: Decisions to take.
            config: The rules.
            lots: Which lots a trade closes: the oldest, the newest, or all at their average cost.
            rules: As `written_rules` gives them, for several backtests under one configuration; written when None.
        """
        self.table, self.span, self.config, self.lots = table, span, config, lots
        self._rules = rules = rules or written_rules(table, span.first, config)
        self._books = Books(table, span, rules.params, rules, lots)
        self._history, self._state = History(rules), rules.start
        self._rows = market_rows(table, span, rules.floats)
        self._view: AccountView | None = None
        self.over, self.bar = False, span.first
        self._turn()

    def _turn(self) -> None:
        """Go to the next bar of the range, or end."""
        row = next(self._rows, None)
        if row is not None:
            self.bar, self._known, self._outcome = row  # the decision at the close of `bar` is due
        else:
            self._end()

    def _end(self) -> None:
        """Stand at the last mark: the range is exhausted, or the account ruined."""
        self.over, self.bar = True, self.bar + 1
        _, self._known, _ = next(market_rows(self.table, Range(self.bar, self.bar + 1), self._rules.floats))

    def view(self) -> AccountView:
        """Return the account as a policy sees it at the close of `bar`; after the end, that of the last mark."""
        if self._view is None:
            self._view = AccountView(*self._rules.observe(*self._state, *self._known))
        return self._view

    def advance(self, action: Any, value: float = math.nan) -> None:
        """Take an action at the close of `bar` and go on to the next; `step` without the record of it.

        Raises:
            Mismatch: The ledger and the rule book disagree.
        """
        view, rules = self.view(), self._rules
        row = rules.advance(self._state, action, self._known, self._outcome)
        self._state, self._view = row[: len(self._state)], None
        self._books.book(self.bar, row)
        self._history.append(self.bar, action, value, view, row)
        if row[rules.ruined]:
            self._end()
        else:
            self._turn()

    def step(self, action: Any, value: float = math.nan) -> Step:
        """Take an action at the close of `bar`, go on to the next, and return what happened in between.

        Args:
            action: As the configuration's kind of action reads it: a whole number, or numbers [N].
            value: What the policy expects, for the record.

        Raises:
            InputError: The backtest is over.
            Mismatch: The ledger and the rule book disagree.
        """
        if self.over:
            raise InputError("the backtest", "is over", "Start another one")
        self.advance(np.array(action), value)
        return self._history.last()

    def result(self) -> Backtest:
        """Return the backtest so far, its books audited.

        Raises:
            Mismatch: They differ.
        """
        audit(self._books.ledger)
        return Backtest(self.table, self.span, self.config, self._history, self._books.ledger, self.lots)


def run_backtest(
    table: MarketTable,
    span: Range,
    config: EnvConfig,
    actor: Actor,
    *,
    lots: LotMethod = "fifo",
    watch: Callable[[int], None] | None = None,
    rules: Rules | None = None,
) -> Backtest:
    """Trade one account through a range.

    Args:
        table: The market; its float64 outcomes move the account.
        span: Decisions to take.
        config: The rules.
        actor: Asked at the close of every bar, with the account as it then stands.
        lots: Which lots a trade closes: the oldest, the newest, or all at their average cost.
        watch: Told the number of decisions taken, now and then and at the end.
        rules: As `Engine` takes them.

    Raises:
        Mismatch: The ledger and the rule book disagree.
    """
    engine, told = Engine(table, span, config, lots=lots, rules=rules), span.first
    while not engine.over:
        bar = engine.bar
        engine.advance(*actor(bar, engine.view()))
        if watch is not None and (engine.over or bar - told >= WATCHED):
            watch(bar - span.first + 1)
            told = bar
    return engine.result()


def written_rules(table: MarketTable, bar: int, config: EnvConfig) -> Rules:
    """Return the rules of a configuration, written out for the market's symbols with a bar of it as the example."""
    row, discrete = market_row(table, bar), config.choices is not None
    return make_rules(rule_book(config), rule_params(config, table.symbols), *row, discrete=discrete)


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
    """Put an equal share of the equity into every symbol as soon as it can be bought, through the same rules and costs.

    A symbol that is listed later, or has no open at first, is bought later, as far as the cash goes.
    """
    symbols = len(table.symbols)
    rules = {"action": "continuous", "dead_band": 0.0, "trade_limit_percent": 100.0, "allow_short": False}
    limits = {"max_trade_percent": None, "max_position_percent": None}
    plain = config.model_copy(update=rules | limits)
    ready = (table.known.tradable & table.outcome.can_fill)[span.first : span.last]
    first = ready & (np.cumsum(ready, axis=0) == 1)
    return run_backtest(table, span, plain, replay_actor(np.where(first, 1 / symbols, 0.0), span.first))
