"""Do a policy's decisions hang on later bars? The backtester and live inference, asked with the future changed."""

from typing import Any

import numpy as np

from eval_bridge.backtester import policy_actor, run_backtest
from eval_bridge.live import LiveHead, LiveWindow, LSTMCarrier
from eval_bridge.policy import NumpyPolicy
from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import AccountView, observe, open_account

BACK = 16  # decisions before the cut that are taken again


def decisions(policy: NumpyPolicy, table: MarketTable, env: EnvConfig, cut: int) -> dict[str, list[Any]]:
    """Return what the policy saw and did in the bars up to a cut, from a fresh account; the last decision is at it.

    Returns:
        Lists by the names under which a difference is reported: observation, action, order and fill of the
        backtester, and the action of live inference.
    """
    span = Range(max(table.ranges["all"].first, cut - BACK), cut)
    actor = policy_actor(policy, table, Range(span.first, cut + 1))
    book, params = rule_book(env), rule_params(env, table.symbols)
    steps = run_backtest(table, span, env, actor).steps if span.decisions else []
    accounts = [open_account(np, book, np.zeros(len(table.symbols))), *(step.account for step in steps)]
    known = [
        type(table.known)(*(None if leaf is None else leaf[span.first + k] for leaf in table.known))
        for k in range(len(accounts))
    ]
    views = [observe(np, book, account, now, params) for account, now in zip(accounts, known, strict=True)]
    actions = [actor(span.first + k, view)[0] for k, view in enumerate(views)]
    return {
        "observation": [leaf for view in views for leaf in view],
        "action of the backtester": actions,
        "order": [
            leaf
            for action, account, now in zip(actions, accounts, known, strict=True)
            for leaf in book.decode(np, np.asarray(action), account, now, params)
        ],
        "fill": [leaf for step in steps for leaf in (step.record.fill_value, step.record.equity, step.record.reward)],
        "action of live inference": live_actions(policy, table, views, span.first),
    }


def live_actions(policy: NumpyPolicy, table: MarketTable, views: list[AccountView], first: int) -> list[Any]:
    """Return the actions of live inference at bars first, first + 1, ..., fed one bar at a time."""
    symbols = len(table.symbols)
    if policy.network.kind != "lstm":
        live, reach = LiveWindow(policy, symbols), policy.network.reach
        return [
            live.decide(table.features[first + k - reach + 1 : first + k + 1], view) for k, view in enumerate(views)
        ]
    chunk = policy.network.chunk
    begin = max(0, (first // chunk) * chunk - policy.network.burn_in)
    carrier, head = LSTMCarrier(policy, symbols, begin), LiveHead(policy, symbols)
    embeddings = [carrier.feed(row) for row in table.features[begin : first + len(views)]][first - begin :]
    return [head(embedding, view) for embedding, view in zip(embeddings, views, strict=True) if embedding is not None]


def policy_differences(one: dict[str, list[Any]], two: dict[str, list[Any]]) -> list[str]:
    """Return the names under which two sets of decisions are not bitwise the same."""

    def same(first: Any, second: Any) -> bool:
        first, second = np.asarray(first), np.asarray(second)
        return bool(np.array_equal(first, second, equal_nan=first.dtype.kind == "f"))

    return [name for name in one if len(one[name]) != len(two[name]) or not all(map(same, one[name], two[name]))]
