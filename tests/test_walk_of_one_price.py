"""One cell of the data file is changed: what may change along the chain does, and nothing that lies before."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eval_bridge import backtester, steps
from jaxtrade.envs.trading import TradingCore, make_env_params
from jaxtrade.market import features as feature_room
from jaxtrade.market import table as table_room
from tests.helpers import worlds
from tests.helpers.chain import BARS, Walk, backtest_lines, evaluate_lines, price_lines, untrained, walk_of
from tests.helpers.price_files import scale_cell

BAR = 550  # in the test range, which is bars 511 to 599
NEVER = BARS
ROWS = ("tradable", "can_fill", "mark", "gap", "move", "fill_price")  # of the table, a function of bars t and t+1
SERIES = ("features", "action", "value", "reward", "equity")  # of these the later rows may change too

# The first row that may change, and must, when a cell of bar b changes, less b; what is not listed never changes.
FIRST_CHANGE: dict[str, dict[str, int]] = {
    "close": {"features": 0, "mark": 0, "gap": 0, "move": -1, "action": 0, "value": 0, "reward": -1, "equity": 0},
    "open": {"gap": -1, "move": -1, "fill_price": -1, "action": 0, "value": 0, "reward": -1, "equity": 0},
    "volume": {"features": 0, "action": 0, "value": 0, "reward": 0, "equity": 1},
    "high": {},
    "low": {},
}


def changed_rows(before: Walk, after: Walk, name: str) -> list[int]:
    old, new = getattr(before, name), getattr(after, name)
    same = (old == new) | (np.isnan(old) & np.isnan(new))
    return np.flatnonzero(~same.reshape(BARS, -1).all(axis=1)).tolist()


def assert_only_what_may(before: Walk, after: Walk, column: str, bar: int) -> None:
    """Raise unless each output first changes at its row, bitwise, and a row of the table at no other."""
    assert before.data_hash != after.data_hash
    for name in (*ROWS, *SERIES):
        changed = changed_rows(before, after, name)
        first = bar + FIRST_CHANGE[column][name] if name in FIRST_CHANGE[column] else NEVER
        early = [row for row in changed if row < first]
        assert not early, f"{column}[{bar}] changed {name} at {early[:5]}, which may change from {first} on"
        if first < NEVER:
            assert changed[:1] == [first], f"{column}[{bar}] did not change {name} at {first}"
        if first < NEVER and name in ROWS:
            assert changed == [first], f"{column}[{bar}] changed {name} at {changed[:5]}, not only at {first}"


def walks(folder: Path, column: str, bar: int = BAR) -> tuple[Walk, Walk]:
    lines = price_lines()
    changed = scale_cell(lines, bar, column, 1.003)
    return walk_of(backtest_lines(folder, lines)[0]), walk_of(backtest_lines(folder, changed)[0])


@pytest.mark.parametrize("bar", [BAR, 512, 598])
@pytest.mark.parametrize("column", FIRST_CHANGE)
def test_one_cell(tmp_path: Path, column: str, bar: int) -> None:
    before, after = walks(tmp_path, column, bar)
    assert (np.abs(before.action[511:599]) < 1).mean() > 0.5, "the policy must not sit at its bounds"
    assert_only_what_may(before, after, column, bar)


@pytest.mark.parametrize("factor", [1.003, 20.0, 0.05])
def test_a_large_change_is_no_exception(tmp_path: Path, factor: float) -> None:
    lines = price_lines()
    after = walk_of(backtest_lines(tmp_path, scale_cell(lines, BAR, "volume", factor))[0])
    before = walk_of(backtest_lines(tmp_path, lines)[0])
    assert_only_what_may(before, after, "volume", BAR)
    changed = before.features[130:] != after.features[130:]
    names = np.array(feature_room.feature_names(untrained().table.config))
    assert {names[f] for f in np.flatnonzero(changed.any(axis=0))} == {"volume_zscore_20"}
    assert np.flatnonzero(changed.any(axis=1)).max() + 130 < BAR + 20


def test_the_last_open_and_close_pay_but_are_not_seen(tmp_path: Path) -> None:
    for column in ("open", "close"):
        before, after = walks(tmp_path, column, BARS - 1)
        assert changed_rows(before, after, "action") == []
        assert changed_rows(before, after, "reward") == [BARS - 2]
        assert changed_rows(before, after, "equity") == [BARS - 1]


def test_a_cell_of_the_training_range_moves_no_statistic_of_the_bundle(tmp_path: Path) -> None:
    """The statistics travel with the policy: they are not fitted again on the data that is traded."""
    lines = price_lines()
    result, _ = backtest_lines(tmp_path, scale_cell(lines, 200, "close", 1.3))
    np.testing.assert_array_equal(result.table.scaler.center, untrained().table.scaler.center)
    after, before = walk_of(result), walk_of(backtest_lines(tmp_path, lines)[0])
    assert changed_rows(before, after, "features")[0] == 200
    assert changed_rows(before, after, "mark") == [200]


def test_the_report_rows(tmp_path: Path) -> None:
    """Of the tables by time, the rows before the changed bar stay as they were, byte for byte."""
    texts, names = [], [f"{name}.csv" for name in ("equity", "orders", "positions", "rewards")]
    for factor in (1.0, 1.003):
        found = evaluate_lines(tmp_path, scale_cell(price_lines(), BAR, "close", factor))
        found.write(tmp_path / "out")
        texts.append({name: (tmp_path / "out" / name).read_text().splitlines() for name in names})
    day = str(found.result.table.time[BAR])
    for name in texts[0]:
        old, new = ([line for line in text[name][1:] if line[: len(day)] < day] for text in texts)
        assert len(old) > 35
        assert old == new
    rows = [next(line for line in text["equity.csv"] if line.startswith(day)) for text in texts]
    assert rows[0] != rows[1]


def test_the_compiled_environment(tmp_path: Path) -> None:
    """The rewards of the compiled environment change from the same row on."""
    config, rewards = untrained().setup.config.env, {}
    env = TradingCore(config)
    run = jax.jit(lambda params, actions: worlds.walk(env, params, actions)[1]["reward"])
    for factor in (1.0, 1.003):
        result, _ = backtest_lines(tmp_path, scale_cell(price_lines(), BAR, "close", factor))
        actions = jnp.asarray(np.stack([step.action for step in result.steps]), jnp.float32)
        rewards[factor] = np.asarray(run(make_env_params(result.table, result.span, config), actions))
        np.testing.assert_allclose(rewards[factor], [step.reward for step in result.steps], atol=2e-6)
    changed = np.flatnonzero(rewards[1.0] != rewards[1.003]) + result.span.first
    assert changed[0] == BAR - 1


def shifted_feature(patch: pytest.MonkeyPatch) -> None:
    """One feature is that of the next bar."""
    real = feature_room.compute

    def compute(*arguments: Any) -> Any:
        found = real(*arguments)
        found.raw[:-1, :, 3] = found.raw[1:, :, 3]
        return found

    patch.setattr(feature_room, "compute", compute)


def whole_sample_mean(patch: pytest.MonkeyPatch) -> None:
    """The mean of all bars is taken from the volatility."""
    real = feature_room.compute

    def compute(*arguments: Any) -> Any:
        found = real(*arguments)
        found.raw[..., -2] -= np.mean(found.raw[200:, :, -2])
        return found

    patch.setattr(feature_room, "compute", compute)


def next_row_of_the_market(patch: pytest.MonkeyPatch) -> None:
    """The policy is asked with the market of the next bar."""
    real = backtester.policy_actor

    def policy_actor(policy: Any, table: Any, span: Any) -> Any:
        act = real(policy, table, span._replace(first=span.first + 1, last=span.last + 1))
        return lambda bar, view: act(bar + 1 if bar + 1 < span.last else bar, view)

    patch.setattr(steps, "policy_actor", policy_actor)


def mark_of_the_next_bar(patch: pytest.MonkeyPatch) -> None:
    """The account is marked one bar ahead."""
    real = table_room.marks
    patch.setattr(table_room, "marks", lambda bars: np.roll(real(bars), -1, axis=0))


def filled_at_the_close(patch: pytest.MonkeyPatch) -> None:
    """Orders are filled at the close that has just been seen: the open has no effect."""
    real = table_room.make_outcome
    late = lambda bars, mark, fill: real(bars._replace(open=np.roll(mark, 1, 0)), mark, fill)  # noqa: E731
    patch.setattr(table_room, "make_outcome", late)


PLANTED: dict[Callable[[pytest.MonkeyPatch], None], tuple[str, str]] = {  # which cell shows it, and where
    shifted_feature: ("close", "changed features at"),
    whole_sample_mean: ("close", "changed features at"),
    next_row_of_the_market: ("volume", "changed action at"),
    mark_of_the_next_bar: ("close", "changed mark at"),
    filled_at_the_close: ("open", "did not change gap at"),
}


@pytest.mark.parametrize("plant", PLANTED)
def test_planted_look_ahead_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    column, where = PLANTED[plant]
    untrained()  # made before the fault is planted
    backtest_lines(tmp_path, price_lines())
    plant(monkeypatch)
    if plant in (mark_of_the_next_bar, filled_at_the_close):
        monkeypatch.setattr(backtester.Ledger, "reconcile", lambda *arguments: None)  # which would catch it too
    before, after = walks(tmp_path, column)
    with pytest.raises(AssertionError, match=where):
        assert_only_what_may(before, after, column, BAR)
