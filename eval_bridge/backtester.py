"""The stateful backtester: the same rules, one account, float64, its own books checked at every bar."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eval_bridge.ledger import Ledger
from eval_bridge.policy import NumpyPolicy
from jaxtrade.assemble import capital, rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import (
    Account,
    AccountView,
    Known,
    Outcome,
    Record,
    RuleParams,
    advance,
    observe,
    open_account,
)

FloatArray = npt.NDArray[np.float64]
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
        return np.array(values) * self.capital

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
    book, params = rule_book(config), rule_params(config, table.symbols)
    account = open_account(np, book, table.outcome.gap[span.first])
    ledger = Ledger(table.symbols, cash=capital(config))
    steps: list[Step] = []
    for bar in range(span.first, span.last):
        known, outcome = market_row(table, bar)
        view = observe(np, book, account, known, params)
        action, value = actor(bar, view)
        account, record = advance(np, book, params, account, np.asarray(action), known, outcome)
        book_bar(ledger, table, bar, account, record, params)
        steps.append(Step(bar, action, value, view, account, record))
        if record.ruined:
            break
    return Backtest(table, span, config, steps, ledger)


def market_row(table: MarketTable, bar: int) -> tuple[Known, Outcome]:
    """Return row `bar` of the table, leaves [N]."""
    known = Known(*(None if leaf is None else leaf[bar] for leaf in table.known))
    return known, Outcome(*(None if leaf is None else leaf[bar] for leaf in table.outcome))


def book_bar(
    ledger: Ledger, table: MarketTable, bar: int, account: Account, record: Record, params: RuleParams
) -> None:
    """Book what the rules did between the close of `bar` and the next, and compare the books.

    Args:
        ledger: The books.
        table: The market, for prices.
        bar: The bar that was decided at.
        account: The account after it.
        record: What the rules say happened.
        params: The rules' numbers.
    """
    money, symbols = float(params.capital), len(table.symbols)
    impact = np.broadcast_to(params.half_spread + params.slippage, symbols)
    for n in np.flatnonzero(record.exit_value):
        price = table.mark[bar, n] * float(np.broadcast_to(params.recovery, symbols)[n])
        ledger.close(int(n), price, bar + 1, "delisting")
    for n in np.flatnonzero(record.fill_value):
        value = float(record.fill_value[n])
        price = table.fill_price[bar, n] if np.isfinite(table.fill_price[bar, n]) else table.mark[bar, n]
        paid = float(price) * (1 + np.sign(value) * impact[n])
        kind = "liquidation" if record.called else "fill"
        if record.called or (account.position[n] == 0 and record.mark_value[n] == 0):
            ledger.close(int(n), paid, bar + table.fill_bar, kind)
        else:
            ledger.fill(int(n), value * money / float(price), paid, bar + table.fill_bar, kind)
    for n in np.flatnonzero(record.mark_value):
        paid = float(table.mark[bar + 1, n]) * (1 + np.sign(record.mark_value[n]) * impact[n])
        ledger.close(int(n), paid, bar + 1, "liquidation")
    charges = {"commission": record.costs.commission, "stamp_duty": record.costs.duty, "borrow": record.borrow}
    charges |= {"interest": record.interest, "income": -record.income, "shortfall": -record.shortfall}
    ledger.charge(**{kind: float(amount) * money for kind, amount in charges.items()})
    time, cash, equity = table.time[bar + 1], float(account.cash) * money, float(record.equity) * money
    ledger.reconcile(time, table.mark[bar + 1], cash, equity)
    ledger.reconcile_lots(time, np.broadcast_to(params.lot_size, symbols), account.lots)


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
