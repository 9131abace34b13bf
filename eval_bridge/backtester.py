"""The stateful backtester: the same rules, one account, float64, its own books checked at every bar."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eval_bridge.ledger import Ledger
from eval_bridge.policy import NumpyPolicy
from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import Account, AccountView, Known, Outcome, Record, advance, observe, open_account
from jaxtrade.rules.types import equity_of

FloatArray = npt.NDArray[np.float64]
Actor = Callable[[int, AccountView], tuple[Any, float]]  # (bar, account) -> action, value estimate


class Step(NamedTuple):
    """One bar of the history."""

    bar: int  # the decision was taken at its close; the figures are of the close after it
    action: Any
    value: float
    account: Account
    record: Record
    reward: float


@dataclass
class Backtest:
    """A finished backtest. `K` decisions."""

    table: MarketTable
    span: Range
    config: EnvConfig
    steps: list[Step]
    ledger: Ledger

    @property
    def time(self) -> npt.NDArray[np.datetime64]:
        """Times of the marks, [K + 1], the first before any trade."""
        return self.table.time[self.span.first : self.span.first + len(self.steps) + 1]

    @property
    def equity(self) -> FloatArray:
        """Equity at the marks in money, [K + 1]."""
        values = [1.0, *(float(step.record.equity) for step in self.steps)]
        return np.array(values) * self.config.initial_cash

    def series(self, field: str) -> FloatArray:
        """Return a field of the record over the steps, [K] or [K, N]."""
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
    book, params = rule_book(config), rule_params(config)
    account = open_account(np, table.outcome.gap[span.first])
    ledger = Ledger(table.symbols, cash=config.initial_cash)
    steps: list[Step] = []
    for bar in range(span.first, span.last):
        known = Known(*(leaf[bar] for leaf in table.known))
        outcome = Outcome(*(leaf[bar] for leaf in table.outcome))
        action, value = actor(bar, observe(np, account, known, params))
        account, record = advance(np, book, params, account, np.asarray(action), known, outcome)
        _book_fills(ledger, table, bar, account, record, config.initial_cash)
        equity = float(equity_of(np, account))
        cash_now, equity_now = float(account.cash) * config.initial_cash, equity * config.initial_cash
        ledger.reconcile(table.time[bar + 1], table.mark[bar + 1], cash_now, equity_now)
        steps.append(Step(bar, action, value, account, record, float(book.reward(np, record))))
        if record.ruined:
            break
    return Backtest(table, span, config, steps, ledger)


def _book_fills(ledger: Ledger, table: MarketTable, bar: int, account: Account, record: Record, capital: float) -> None:
    """Book what the rules traded between the close of `bar` and the next."""
    at_mark = record.mark_value != 0
    for n in np.flatnonzero(record.fill_value):
        price = table.fill_price[bar, n] if np.isfinite(table.fill_price[bar, n]) else table.mark[bar, n]
        closes = bool(account.position[n] == 0 and not at_mark[n])
        kind = "liquidation" if record.ruined and not np.any(at_mark) else "fill"
        ledger.fill(int(n), float(record.fill_value[n]) * capital, float(price), bar + 1, closes=closes, kind=kind)
    for n in np.flatnonzero(at_mark):
        value, price = float(record.mark_value[n]) * capital, float(table.mark[bar + 1, n])
        ledger.fill(int(n), value, price, bar + 1, closes=True, kind="liquidation")
    ledger.charge(float(record.fees) * capital, float(record.shortfall) * capital)


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
    plain = config.model_copy(update=rules)
    shares, nothing = np.full(symbols, 1 / symbols), np.zeros(symbols)
    return run_backtest(table, span, plain, lambda bar, view: (shares if bar == span.first else nothing, float("nan")))
