"""The parity certificate: how far the two engines and the two forward passes agree, on the validation range.

(a) The same actions, drawn from the policy so that it trades, through both engines: free-running over the range, and
    one bar from each of the backtester's states (`train.parity`), where every discrete difference must be explained.
(b) The same inputs through both forward passes: errors, and decisions that flip.
(c) Both engines closed-loop, each with its own forward pass: reported, not judged.
"""

from typing import Any

import jax
import numpy as np

from eval_bridge.backtester import Backtest, market_row, policy_actor, replay_actor, run_backtest
from eval_bridge.policy import NumpyPolicy
from eval_bridge.spec import Certificate
from jaxtrade.assemble import rule_params
from jaxtrade.envs.trading import make_env_params
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import AccountView, RuleParams, open_account
from train.batched import Batched
from train.forward import flax_answers
from train.parity import Bars, compare_steps
from train.referee import Referee, referee_for
from train.state import Setup

ENGINE_LIMIT = 1e-4  # of equity, free-running over the whole range
STEP_LIMIT = 2e-6  # of equity, one bar from the same state
POLICY_LIMIT = 1e-4  # of outputs, actions and values, relative to the largest where that exceeds 1


def certify(
    setup: Setup, params: Any, policy: NumpyPolicy, table: MarketTable, span: Range, referee: Referee | None = None
) -> Certificate:
    """Return the certificate of a policy over a range.

    Args:
        setup: The static parts.
        params: As training holds them.
        policy: What was exported of them.
        table: The market.
        span: The range.
        referee: The compiled programs; made for this range when None.
    """
    referee = referee_for(referee, setup, span)
    env_params = make_env_params(table, span, setup.config.env)
    walked, drawn = (referee.walk(params, env_params, span, draw) for draw in (False, True))
    replayed = run_backtest(table, span, setup.config.env, replay_actor(drawn["action"], span.first))
    closed = run_backtest(table, span, setup.config.env, policy_actor(policy, table, span))
    rules = rule_params(setup.config.env, table.symbols)
    steps = compare_steps(setup.core.book, rules, gather_bars(setup, table, replayed), referee.steps)
    lived = drawn["equity"][: len(replayed.history)]
    return Certificate(
        bars=len(replayed.history),
        fills=int(np.sum(replayed.series("fill_value") != 0)),
        engine_error=float(np.max(np.abs(lived / replayed.series("equity") - 1))),
        step_error=steps.error,
        discrete_explained=steps.explained,
        discrete_unexplained=steps.unexplained,
        **compare_policies(setup, params, policy, table, closed, referee.forward),
        closed_loop_error=float(abs(walked["equity"][-1] / closed.series("equity")[-1] - 1)),
        engine_limit=ENGINE_LIMIT,
        step_limit=STEP_LIMIT,
        policy_limit=POLICY_LIMIT,
    )


def gather_bars(setup: Setup, table: MarketTable, result: Backtest) -> Bars:
    """Return what the rules were given at each bar of a backtest, leaves [K, ...] float64."""
    start = open_account(np, setup.core.book, table.outcome.gap[result.span.first])
    account = jax.tree.map(lambda first, after: np.stack([first, *after[:-1]]), start, result.accounts)
    return Bars(account, result.history.actions, *market_row(table, bars_of(result)))


def bars_of(result: Backtest) -> np.ndarray:
    """Return the bars at which a backtest decided, [K]."""
    return result.span.first + np.arange(len(result.history))


def compare_policies(
    setup: Setup,
    params: Any,
    policy: NumpyPolicy,
    table: MarketTable,
    result: Backtest,
    forward: Batched | None = None,
) -> dict[str, Any]:
    """Return the fields of the certificate that compare the forward passes, on the states of a backtest."""
    bars, view = bars_of(result), AccountView(*(leaf.astype(np.float32) for leaf in result.history.views))
    output, value, wanted = flax_answers(setup, params, table.features, bars, view, forward)
    decision = policy.head(policy.market(table.features, bars), view)
    error, value_error = apart(decision.output, output), apart(decision.value[:, None], value[:, None])
    acted = policy.act(decision)
    if not setup.policy.discrete:
        error = np.maximum(error, apart(acted, wanted))
    given = gather_bars(setup, table, result)
    rules = rule_params(setup.config.env, table.symbols)
    flips = np.any(decided(setup, rules, given, acted) != decided(setup, rules, given, wanted), axis=-1)
    return {
        "policy_error": float(max(np.max(error), np.max(value_error))),
        "flips_explained": int(np.sum(flips & (error <= POLICY_LIMIT))),
        "flips_unexplained": int(np.sum(flips & ~(error <= POLICY_LIMIT))),
    }


def apart(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the largest difference in each row of [K, A], relative to the largest answer where that exceeds 1."""
    return np.max(np.abs(found - wanted), axis=-1) / max(1.0, float(np.max(np.abs(wanted))))


def decided(setup: Setup, params: RuleParams, bars: Bars, action: np.ndarray) -> np.ndarray:
    """Return what an action decides: the number of the choice, [K, 1], or the side of each symbol's order, [K, N]."""
    if setup.policy.discrete:
        return action[:, None]
    orders = setup.core.book.decode(np, action, bars.account, bars.known, params)
    return np.sign(orders.value) + 2 * orders.close_out
