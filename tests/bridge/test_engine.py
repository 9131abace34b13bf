"""The engine step by step is `run_backtest`; delays are replays shifted by hand; a watcher is told."""

from typing import Any

import numpy as np
import pytest

from eval_bridge.backtester import Engine, buy_and_hold, replay_actor, run_backtest
from eval_bridge.books.ledger import LotMethod
from eval_bridge.delay import delayed, hold_action
from jaxtrade.config import EnvConfig
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range
from jaxtrade.rules import AccountView
from tests.helpers.books import METHODS, flat, market, played
from tests.helpers.parity_cases import CASES, actions_of, table_of

NAMES = ("continuous, short, financed, delisted", "discrete9, lots", "orders, short, lots")


def span_of(name: str, count: int = 200) -> Range:
    first = table_of(name).ranges["all"].first
    return Range(first, first + count)


@pytest.mark.parametrize(("name", "method"), list(zip(NAMES, METHODS, strict=True)))
def test_step_by_step_is_the_whole_run(name: str, method: LotMethod) -> None:
    table, span, config = table_of(name), span_of(name), CASES[name].config
    actions = actions_of(CASES[name], 1)[0]
    whole = run_backtest(table, span, config, replay_actor(actions, span.first), lots=method)
    engine = Engine(table, span, config, lots=method)
    for step, action in zip(whole.steps, actions, strict=False):
        assert engine.bar == step.bar and not engine.over
        for mine, theirs in zip(engine.view(), step.view, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        taken = engine.step(action, 0.5)
        assert (taken.bar, taken.value, taken.reward) == (step.bar, 0.5, step.reward)
        np.testing.assert_array_equal(taken.account.position, step.account.position)
    assert engine.over
    result = engine.result()
    np.testing.assert_array_equal(result.equity, whole.equity)
    assert (result.lots, result.ledger.trades) == (method, whole.ledger.trades)
    assert engine.bar == whole.steps[-1].bar + 1
    with pytest.raises(InputError, match="the backtest: is over"):
        engine.step(actions[0])


def test_after_the_end_the_account_is_that_of_the_last_mark() -> None:
    config = EnvConfig(window=1, trade_limit_percent=100)
    table = market(flat(10, 10, 10, 20))
    engine = Engine(table, Range(0, 3), config)
    for action in ([1.0], [0.0], [0.0]):
        engine.step(action)
    weight = engine.view().assets[0, 0]
    assert engine.over and engine.bar == 3
    assert weight == pytest.approx(
        np.tanh(engine.result().accounts.position[-1, 0] / engine.result().records.equity[-1])
    )


def test_a_result_on_the_way_is_that_of_a_shorter_run() -> None:
    name = NAMES[0]
    table, span, config = table_of(name), span_of(name), CASES[name].config
    actions = actions_of(CASES[name], 1)[0]
    engine = Engine(table, span, config)
    for action in actions[:50]:
        engine.step(action)
    early = engine.result()
    np.testing.assert_array_equal(early.equity, run_backtest(
        table, Range(span.first, span.first + 50), config, replay_actor(actions, span.first)
    ).equity)  # fmt: skip
    assert len(early.steps) == len(early.records.equity) == 50


def test_an_action_that_is_changed_afterwards_stays_as_it_was() -> None:
    engine = Engine(market(flat(10, 10, 10)), Range(0, 2), EnvConfig(window=1))
    action = np.array([0.5])
    engine.step(action)
    action[0] = -1
    engine.step(action)
    assert engine.result().history.actions.tolist() == [[0.5], [-1.0]]


def test_accounts_and_records_are_those_of_the_steps() -> None:
    for name in NAMES:
        result = played(name)
        for field in ("cash", "position", "basis", "idle"):
            wanted = np.array([getattr(step.account, field) for step in result.steps])
            np.testing.assert_array_equal(getattr(result.accounts, field), wanted)
        for field in ("reward", "fill_value", "fees", "rejected", "turnover"):
            wanted = np.array([getattr(step.record, field) for step in result.steps])
            np.testing.assert_array_equal(result.series(field), wanted)
            assert result.series(field).dtype == wanted.dtype
        np.testing.assert_array_equal(
            result.records.costs.commission, [step.record.costs.commission for step in result.steps]
        )


@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_delay_is_a_shifted_replay(name: str, delay: int) -> None:
    table, span, config = table_of(name), span_of(name), CASES[name].config
    actions = actions_of(CASES[name], 1)[0]
    hold = hold_action(config, len(table.symbols))
    late = np.array([*[hold] * delay, *actions[: span.decisions - delay]])
    wanted = run_backtest(table, span, config, replay_actor(late, span.first))
    actor = delayed(replay_actor(actions, span.first), delay, config, len(table.symbols))
    found = run_backtest(table, span, config, actor)
    np.testing.assert_array_equal(found.equity, wanted.equity)
    assert found.ledger.trades == wanted.ledger.trades
    assert not np.any(found.records.fill_value[:delay])
    if delay:
        prompt = run_backtest(table, span, config, replay_actor(actions, span.first))
        assert np.any(prompt.equity[: len(found.equity)] != found.equity[: len(prompt.equity)])


def test_a_delayed_actor_sees_the_account_as_it_is() -> None:
    """It is asked at every bar, and its value is of that bar; only the action waits."""
    seen: list[float] = []

    def actor(bar: int, view: AccountView) -> tuple[Any, float]:
        seen.append(float(view.assets[0, 0]))
        return np.array([1.0]), float(bar)

    config = EnvConfig(window=1, trade_limit_percent=50)
    result = run_backtest(market(flat(*[10.0] * 6)), Range(0, 5), config, delayed(actor, 2, config, 1))
    assert np.count_nonzero(seen) == 2 and seen[:3] == [0.0, 0.0, 0.0]
    assert result.history.values.tolist() == [0, 1, 2, 3, 4]
    assert result.history.actions.ravel().tolist() == [0, 0, 1, 1, 1]


@pytest.mark.parametrize("action", ["continuous", "proportional", "discrete9", "target_weight", "positions", "orders"])
def test_holding_orders_nothing(action: str) -> None:
    config = EnvConfig.model_validate({"action": action, "window": 1, "positions": (1.0, 0.0)})
    table = market(flat(10, 11, 12, 13))
    result = run_backtest(table, Range(0, 3), config, lambda bar, view: (hold_action(config, 1), 0.0))
    assert not result.ledger.orders
    assert not result.records.rejected.any()


def test_bad_delays_are_told() -> None:
    config = EnvConfig.model_validate({"action": "positions", "positions": (0.5, 1.0), "window": 1})
    with pytest.raises(InputError, match=r"holds no exposure of 0 \(0.5, 1\)"):
        hold_action(config, 1)
    with pytest.raises(InputError, match="delay: -1 bars"):
        delayed(replay_actor(np.zeros(1), 0), -1, config, 1)


def test_a_watcher_is_told_now_and_then_and_at_the_end() -> None:
    table, told = market(flat(*np.linspace(10, 20, 802))), []
    run_backtest(table, Range(0, 801), EnvConfig(window=1), replay_actor(np.zeros((801, 1)), 0), watch=told.append)
    assert told[-1] == 801 and told == sorted(set(told))
    assert 3 <= len(told) <= 6


def test_buy_and_hold_buys_each_symbol_as_soon_as_it_can() -> None:
    """B has no open on the second day, C is listed on the third; each is bought once, for a third of the equity."""
    nan = [float("nan")] * 4
    rows = [[[10] * 4, [20] * 4, nan], [[10] * 4, [float("nan"), 20, 20, 20], nan]]
    rows += [[[10] * 4, [20] * 4, [5] * 4]] * 4
    config = EnvConfig.model_validate({"window": 1, "allow_short": True, "costs": {"buy_percent": 0.0}})
    result = buy_and_hold(market(rows), Range(0, 5), config)
    assert [(order.symbol, order.bar) for order in result.ledger.orders] == [("A", 1), ("B", 2), ("C", 3)]
    np.testing.assert_allclose(result.accounts.position[-1], 1 / 3, rtol=1e-6)
    assert not result.records.rejected.any() and not result.records.blocked.any()
