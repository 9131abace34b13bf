"""Paths of accounts through NumPy: by the stateful backtester one at a time, by the rule book all at once."""

from typing import Any, NamedTuple

import jax
import numpy as np

from eval_bridge.backtester import replay_actor, run_backtest
from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import Account, AccountView, Record, advance, observe, open_account
from tests.helpers.parity_cases import STEPS
from tests.helpers.worlds import decisions


class Path(NamedTuple):
    """What accounts lived through, leaves [steps, accounts, ...]."""

    action: np.ndarray
    view: AccountView  # before the bar
    before: Account
    after: Account
    record: Record
    alive: np.ndarray  # bool: not ruined before the bar


def paths(table: MarketTable, config: EnvConfig, actions: np.ndarray, backtests: int) -> Path:
    """Return the paths of the first accounts by the backtester, of the others by the rule book; actions [A, K, ...]."""
    parts = [backtested(table, config, mine) for mine in actions[:backtests]]
    if len(actions) > backtests:
        parts.append(batched(table, config, np.swapaxes(actions[backtests:], 0, 1)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *parts)


def row(table: MarketTable, bar: Any) -> Any:
    """Return what was known, and what came of it, at a bar or bars."""
    return jax.tree.map(lambda leaf: leaf[bar], (table.known, table.outcome))


def stacked(steps: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *steps)


def path_of(action: np.ndarray, accounts: list[Account], views: list[AccountView], records: list[Record]) -> Path:
    """Return the path of accounts, one more than there are views and records."""
    ruined = np.cumsum([record.ruined for record in records], axis=0) > 0
    alive = np.concatenate([np.ones_like(ruined[:1]), ~ruined[:-1]])
    return Path(action, stacked(views), stacked(accounts[:-1]), stacked(accounts[1:]), stacked(records), alive)


def backtested(table: MarketTable, config: EnvConfig, action: np.ndarray) -> Path:
    """Replay actions [K, ...] in the backtester, which stops at ruin; its last bar is then repeated."""
    span = decisions(table, STEPS)
    steps = run_backtest(table, span, config, replay_actor(action, span.first)).steps
    steps += [steps[-1]] * (STEPS - len(steps))
    accounts = [open_account(np, rule_book(config), table.outcome.gap[0]), *(step.account for step in steps)]
    path = path_of(action, accounts, [step.view for step in steps], [step.record for step in steps])
    return jax.tree.map(lambda leaf: leaf[:, None], path)


def batched(table: MarketTable, config: EnvConfig, actions: np.ndarray) -> Path:
    """Trade actions [K, A, ...] through the rule book, all accounts at once."""
    span, book, params = decisions(table, STEPS), rule_book(config), rule_params(config, table.symbols)
    accounts = [open_account(np, book, np.zeros((actions.shape[1], len(table.symbols))))]
    views, records = [], []
    for step, action in enumerate(actions):
        known, outcome = row(table, np.full(actions.shape[1], span.first + step))
        views.append(observe(np, book, accounts[-1], known, params))
        account, record = advance(np, book, params, accounts[-1], action, known, outcome)
        accounts.append(account)
        records.append(record)
    return path_of(actions, accounts, views, records)
