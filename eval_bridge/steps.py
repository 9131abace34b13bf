"""The steps of an evaluation, one after the other: trade, book, compare with rules without skill, judge."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from eval_bridge.backtester import Backtest, policy_actor, run_backtest
from eval_bridge.books.orders import orders_table
from eval_bridge.books.positions import equity_table, positions_table
from eval_bridge.books.trades import trades_table
from eval_bridge.delay import delayed
from eval_bridge.evaluation import Baseline, Options, Tables, Watch
from eval_bridge.honesty.baselines import run_baselines
from eval_bridge.honesty.verdict import judge
from eval_bridge.market import SEALED, Opened
from eval_bridge.metrics import compute_metrics, returns_of, sharpe
from eval_bridge.rewards import reward_view
from eval_bridge.stochastic import run_stochastic
from eval_bridge.stress import run_stress
from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.trials import Trials, read_trials, record_result


def trade(
    policy: Any, table: MarketTable, span: Range, config: EnvConfig, options: Options, watch: Watch = None
) -> Backtest:
    """Return the backtest of a policy, each action the most likely one.

    Raises:
        InputError: No action waits, and a delay is asked for.
        Mismatch: The books and the rules disagree.
    """
    actor = delayed(policy_actor(policy, table, span), options.delay, config, len(table.symbols))
    return run_backtest(table, span, config, actor, lots=options.lots, watch=_told(watch, "trading", span.decisions))


def tables_of(result: Backtest) -> Tables:
    """Return the books as tables."""
    return Tables(equity_table(result), trades_table(result), orders_table(result), positions_table(result))


def record(opened: Opened | None, result: Backtest, split: str, options: Options) -> Trials:
    """Record the result where the opening was recorded, and return the trials of these bars, this one among them.

    It is recorded first, so that the same backtest repeated counts the same trials. A result under other costs or with
    a delay is no trial of its own.
    """
    if opened is None:
        return Trials(1)
    span, data = result.span, result.table.data_hash
    if split in SEALED and options.as_trained:
        found = float(sharpe(returns_of(result.equity), 1.0))
        record_result(opened.ledger, opened.policy_sha256, data, split, span, found)
    return read_trials(opened.ledger, data, span)


def run_rules(result: Backtest, watch: Watch = None) -> dict[str, Baseline]:
    """Return the rules without skill over the same bars, at the same costs."""
    _tell(watch, "baselines")
    return run_baselines(result)


def judged(result: Backtest, baselines: dict[str, Baseline], trials: Trials, watch: Watch = None) -> dict[str, Any]:
    """Return what speaks for skill and against it."""
    _tell(watch, "bootstrap and shift test")
    return judge(result, baselines, trials)


def figures_of(
    result: Backtest, tables: Tables, baselines: dict[str, Baseline]
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the figures of the policy, and why some are not defined."""
    return compute_metrics(result, tables.trades, baselines["buy_and_hold"].equity)


def extras(policy: Any, result: Backtest, options: Options, watch: Watch = None) -> dict[str, Any]:
    """Return the parts of an evaluation that are asked for: the stress grid and the sampled runs."""
    found: dict[str, Any] = {}
    table, span, config = result.table, result.span, result.config
    if options.stress:
        stress = run_stress(policy, table, span, config, _told(watch, "stress grid", 0))
        found |= {"stress": stress.grid, "break_even": stress.break_even, "break_even_bps": stress.break_even_bps}
    if options.stochastic:
        told = _told(watch, "sampled runs", span.decisions)
        found["stochastic"] = run_stochastic(policy, table, span, config, options.stochastic, told)
    return found


def rewards_of(result: Backtest) -> pd.DataFrame:
    """Return every reward along the backtest, [K, R]."""
    return reward_view(result)


def _told(watch: Watch, what: str, total: int) -> Callable[[int], None] | None:
    """Return the watcher of one step."""
    return None if watch is None else partial(_report, watch, what, total)


def _report(watch: Callable[[str, int, int], None], what: str, total: int, done: int) -> None:
    watch(what, done, total)


def _tell(watch: Watch, what: str) -> None:
    if watch is not None:
        watch(what, 0, 0)
