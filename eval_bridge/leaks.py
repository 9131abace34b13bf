"""Do a policy's decisions hang on later bars? The backtester and live inference, asked with the future changed."""

from typing import Any

import numpy as np
import numpy.typing as npt

from eval_bridge.backtester import market_row, policy_actor, run_backtest, written_rules
from eval_bridge.live import LiveHead, LiveWindow, LSTMCarrier
from eval_bridge.policy import NumpyPolicy
from eval_bridge.straight_line.write import leaves, rebuild
from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import AccountView, observe, open_account

FloatArray = npt.NDArray[np.float32]
BACK = 16  # decisions before the cut that are taken again


class Asked:
    """A policy that is asked at many bars of a market whose later bars are changed."""

    def __init__(self, policy: NumpyPolicy, table: MarketTable, env: EnvConfig) -> None:
        """Write the rules out, once for all backtests.

        Args:
            policy: The policy.
            table: The market as it is.
            env: The rules' configuration.
        """
        self.policy, self.env, self.first = policy, env, table.ranges["all"].first
        self.rules = written_rules(table, self.first, env)
        self.live: dict[tuple[bytes, ...], list[Any]] = {}  # what live inference decided, by all that it was fed

    def decisions(self, table: MarketTable, cut: int) -> dict[str, list[Any]]:
        """Return what the policy saw and did in the bars up to a cut, from a fresh account; the last decision is at it.

        Returns:
            Lists by the names under which a difference is reported: observation, action, order and fill of the
            backtester, and the action of live inference.
        """
        span, book, params = Range(max(self.first, cut - BACK), cut), self.rules.book, self.rules.params
        actor = policy_actor(self.policy, table, Range(span.first, cut + 1))
        account = open_account(np, book, np.zeros((1, len(table.symbols))))
        actions, fills = list[Any](), list[Any]()
        if span.decisions:
            result = run_backtest(table, span, self.env, actor, rules=self.rules)
            both = zip(leaves(account), leaves(result.accounts), strict=True)
            account = rebuild(account, map(np.concatenate, both))
            actions = list(result.history.actions)
            fills = [result.records.fill_value, result.records.equity, result.records.reward]
        known, _ = market_row(table, span.first + np.arange(len(actions) + 1))
        view = observe(np, book, account, known, params)
        actions.append(actor(span.first + len(actions), AccountView(*(leaf[-1] for leaf in view)))[0])
        return {
            "observation": list(view),
            "action of the backtester": actions,
            "order": leaves(book.decode(np, np.array(actions), account, known, params)),
            "fill": fills,
            "action of live inference": live_actions(self, table, view, span.first),
        }


def live_actions(asked: Asked, table: MarketTable, view: AccountView, first: int) -> list[Any]:
    """Return the actions of live inference at bars first, first + 1, ..., fed one bar at a time.

    It is handed no row after the bar that it decides at; what it has been fed before it does not decide again.

    Args:
        asked: The policy, and what it decided before.
        table: The market.
        view: The accounts at those bars, leaves [K, ...].
        first: The first bar.
    """
    network, views = asked.policy.network, list(map(AccountView, *view))
    begin = first - network.reach + 1
    if network.kind == "lstm":  # from the burn-in of its chunk on
        begin = max(0, (first // network.chunk) * network.chunk - network.burn_in)
    rows = table.features[begin : first + len(views)]
    fed = begin.to_bytes(8), rows.tobytes(), *(leaf.tobytes() for leaf in view)
    if fed not in asked.live:
        asked.live[fed] = _fed(asked.policy, rows, views, begin)
    return asked.live[fed]


def _fed(policy: NumpyPolicy, rows: FloatArray, views: list[AccountView], begin: int) -> list[Any]:
    """Return the actions at the last of the rows, [n, N, F], one for each view; `begin` is the bar of the first."""
    symbols, ends = rows.shape[1], range(len(rows) - len(views) + 1, len(rows) + 1)
    if policy.network.kind != "lstm":
        live = LiveWindow(policy, symbols)
        return [live.decide(rows[end - live.reach : end], view) for end, view in zip(ends, views, strict=True)]
    carrier, head = LSTMCarrier(policy, symbols, begin), LiveHead(policy, symbols)
    embeddings = [carrier.feed(row) for row in rows][-len(views) :]
    return [head(embedding, view) for embedding, view in zip(embeddings, views, strict=True) if embedding is not None]


def policy_differences(one: dict[str, list[Any]], two: dict[str, list[Any]]) -> list[str]:
    """Return the names under which two sets of decisions are not bitwise the same."""

    def same(first: Any, second: Any) -> bool:
        first, second = np.asarray(first), np.asarray(second)
        return bool(np.array_equal(first, second, equal_nan=first.dtype.kind == "f"))

    return [name for name in one if len(one[name]) != len(two[name]) or not all(map(same, one[name], two[name]))]
