"""The market table: the clock by hand, and statistics of the training range only."""

from typing import Any

import numpy as np
import pytest

from jaxtrade.config import MarketConfig, SplitConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.errors import InputError
from jaxtrade.market import table as table_room
from jaxtrade.market.bars import Bars
from jaxtrade.market.scales import fit_scaler
from jaxtrade.market.table import MarketTable, build_table, make_outcome, marks
from tests.helpers.price_files import COLUMNS, cut, scramble

NAN = np.nan
WINDOW = 30
SPLIT = SplitConfig(train_until="2001-06-30", validation_until="2001-12-31")  # bars 544 and 728 of the random bars
CONFIG = MarketConfig(split=SPLIT)


def panel(*columns: tuple[list[float], list[float]]) -> Bars:
    """Return bars of given opens and closes, one pair of lists a symbol."""
    opens, closes = (np.array(prices, float).T for prices in zip(*columns, strict=True))
    bars = random_bars(len(opens), symbols=len(columns))
    return bars._replace(open=opens, close=closes)


CLOCK = {  # opens, closes, marks, gaps, moves, fills; the last row of an outcome is NaN and cannot be filled
    "complete": ([10, 11, 12, 8], [10, 12, 9, 16], [10, 12, 9, 16], [0.1, 0, -1 / 9], [1 / 11, -0.25, 1], [1, 1, 1]),
    "no open": ([10, NAN, 12, 8], [10, 12, 9, 16], [10, 12, 9, 16], [0, 0, -1 / 9], [0.2, -0.25, 1], [0, 1, 1]),
    "no close": ([10, 11, 12, 8], [10, NAN, 9, 16], [10, 11, 9, 16], [0.1, 1 / 11, -1 / 9], [0, -0.25, 1], [1, 1, 1]),
    "neither": ([10, NAN, 12, 8], [10, NAN, 9, 16], [10, 10, 9, 16], [0, 0.2, -1 / 9], [0, -0.25, 1], [0, 1, 1]),
    "two gone": ([10, NAN, NAN, 8], [10, NAN, NAN, 16], [10, 10, 10, 16], [0, 0, -0.2], [0, 0, 1], [0, 0, 1]),
    "ends": ([10, 11, NAN, NAN], [10, 12, NAN, NAN], [10, 12, 12, 12], [0.1, 0, 0], [1 / 11, 0, 0], [1, 0, 0]),
    "listed late": ([NAN, NAN, 12, 8], [NAN, NAN, 9, 16], [NAN, NAN, 9, 16], [0, 0, -1 / 9], [0, 0, 1], [0, 0, 1]),
    "by its open": (
        [NAN, 11, 12, 8],
        [NAN, NAN, 9, 16],
        [NAN, 11, 9, 16],
        [0, 1 / 11, -1 / 9],
        [0, -0.25, 1],
        [0, 1, 1],
    ),
}


@pytest.mark.parametrize("case", CLOCK)
def test_the_clock_by_hand(case: str) -> None:
    opens, closes, mark, gap, move, can_fill = CLOCK[case]
    bars = panel((opens, closes), CLOCK["complete"][:2])
    outcome = make_outcome(bars, marks(bars))
    np.testing.assert_array_equal(marks(bars)[:, 0], mark)
    np.testing.assert_allclose(outcome.gap[:, 0], [*gap, NAN], rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(outcome.move[:, 0], [*move, NAN], rtol=1e-14, atol=1e-15)
    assert outcome.can_fill[:, 0].tolist() == [*map(bool, can_fill), False]
    np.testing.assert_allclose(outcome.gap[:, 1], [*CLOCK["complete"][3], NAN], rtol=1e-14)


@pytest.fixture(scope="module")
def bars() -> Bars:
    return random_bars(900, symbols=2, seed=3)


@pytest.fixture(scope="module")
def table(bars: Bars) -> MarketTable:
    return build_table(bars, CONFIG, WINDOW)


def test_rows_of_the_table(bars: Bars, table: MarketTable) -> None:
    assert table.known.tradable.all(axis=1).tolist() == [False] * 130 + [True] * 770
    np.testing.assert_array_equal(table.fill_price[:-1], bars.open[1:])
    assert np.isnan([table.fill_price[-1], table.outcome.gap[-1], table.outcome.move[-1]]).all()
    assert not table.outcome.can_fill[-1].any()
    growth = (1 + table.outcome.gap[:-1]) * (1 + table.outcome.move[:-1])
    np.testing.assert_allclose(growth, bars.close[1:] / bars.close[:-1], rtol=1e-13)
    np.testing.assert_array_equal(table.mark, bars.close)
    assert table.features.dtype == np.float32
    assert np.isnan(table.features[:130]).all()
    assert (np.abs(table.features[130:]) <= CONFIG.clip).all()
    train = table.features[130 : table.ranges["train"].last + 1]
    np.testing.assert_allclose(train.mean((0, 1)), 0, atol=0.02)  # not exactly: what is clipped is missing
    np.testing.assert_allclose(train.std((0, 1)), 1, atol=0.02)


def test_returns_stay_in_double_precision(bars: Bars, table: MarketTable) -> None:
    assert {leaf.dtype for leaf in (table.outcome.gap, table.outcome.move, table.mark)} == {np.dtype(np.float64)}
    assert (table.outcome.gap[:-1] == bars.open[1:] / bars.close[:-1] - 1).all()


def test_a_symbol_listed_late_is_not_tradable_before(bars: Bars) -> None:
    late = np.arange(900)[:, None] < [[0, 300]]
    changed = {name: np.where(late, NAN, getattr(bars, name)) for name in COLUMNS}
    found = build_table(bars._replace(**changed), CONFIG, WINDOW)
    assert found.known.tradable[:, 1].tolist() == [False] * 430 + [True] * 470
    assert (found.features[130:430, 1] == 0).all()
    assert (found.features[430:, 1] != 0).any(axis=1).all()
    assert np.isfinite(found.features[130:]).all()
    assert (found.outcome.gap[:300, 1] == 0).all()
    assert (found.outcome.move[:300, 1] == 0).all()
    assert not found.outcome.can_fill[:300, 1].any()


def test_a_day_without_opens_for_several_symbols() -> None:
    """As in a real panel: one day lacks the opens of some symbols, and all of one symbol, whose volume is 0."""
    wide = random_bars(900, symbols=5, seed=4)
    day, opens, closes, volume = 700, wide.open.copy(), wide.close.copy(), wide.volume.copy()
    opens[day, :3] = closes[day, 2] = NAN
    volume[day, 2] = 0
    found = build_table(wide._replace(open=opens, close=closes, volume=volume), CONFIG, WINDOW)
    assert found.outcome.can_fill[day - 1].tolist() == [False, False, False, True, True]
    assert found.known.tradable[day].tolist() == [True, True, False, True, True]
    assert (found.outcome.gap[day - 1, :3] == 0).all()
    before, after = wide.close[day - 1], wide.close[day]
    np.testing.assert_array_equal(found.outcome.move[day - 1, :2], (after / before - 1)[:2])
    assert found.outcome.move[day - 1, 2] == 0
    assert found.outcome.gap[day, 2] == wide.open[day + 1, 2] / before[2] - 1
    others = (found.outcome.gap[:, 3:], found.outcome.move[:, 3:])
    clean = build_table(wide, CONFIG, WINDOW).outcome
    np.testing.assert_array_equal(others, (clean.gap[:, 3:], clean.move[:, 3:]))
    assert np.isfinite(found.features[130:]).all()


def assert_training_is_blind(bars: Bars, config: MarketConfig = CONFIG) -> None:
    """What lies after the training range, changed, cut off or added to, moves no statistic and no earlier feature."""
    seen = build_table(bars, config, WINDOW)
    last = seen.ranges["train"].last
    longer = random_bars(1100, symbols=2, seed=3)
    grown = cut(
        bars._replace(
            **{name: np.concatenate([getattr(bars, name), getattr(longer, name)[900:]]) for name in COLUMNS},
            time=longer.time,
        ),
        0,
    )
    for changed in (scramble(bars, last + 1), cut(bars, 0, last + 200), grown):
        other = build_table(changed, config, WINDOW)
        assert other.ranges["train"] == seen.ranges["train"]
        np.testing.assert_array_equal(other.scaler.center, seen.scaler.center)
        np.testing.assert_array_equal(other.scaler.spread, seen.scaler.spread)
        np.testing.assert_array_equal(other.features[: last + 1], seen.features[: last + 1])
        assert other.data_hash != seen.data_hash


def test_statistics_come_from_the_training_range_only(bars: Bars) -> None:
    assert_training_is_blind(bars)


def test_planted_whole_sample_statistics_are_caught(bars: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    compute = table_room.feature_room.compute

    def keep(*arguments: Any) -> Any:
        found = compute(*arguments)
        seen.append(found.raw)
        return found

    monkeypatch.setattr(table_room.feature_room, "compute", keep)
    monkeypatch.setattr(table_room, "fit_scaler", lambda raw, config: fit_scaler(seen[-1], config))
    with pytest.raises(AssertionError):
        assert_training_is_blind(bars)


def test_statistics_use_the_last_training_bar(bars: Bars, table: MarketTable) -> None:
    last = table.ranges["train"].last
    other = build_table(scramble(bars, last), CONFIG, WINDOW)
    assert (other.scaler.center != table.scaler.center).any()


def test_given_statistics_are_kept(bars: Bars, table: MarketTable) -> None:
    later = build_table(scramble(bars, 0), CONFIG, WINDOW, table.scaler)
    assert later.scaler is table.scaler
    doubled = table.scaler._replace(spread=2 * table.scaler.spread)
    halved = build_table(bars, CONFIG, WINDOW, doubled).features[130:]
    inside = np.abs(table.features[130:]) < CONFIG.clip
    np.testing.assert_allclose(halved[inside], table.features[130:][inside] / 2, rtol=1e-6)


def test_scaler_by_hand() -> None:
    raw = np.array([[[1.0, 7.0], [3.0, 7.0]], [[NAN, 5.0], [5.0, 7.0]]])
    scaler = fit_scaler(raw, CONFIG)
    np.testing.assert_allclose(scaler.center, [3, 7])  # the row with a missing feature is left out
    np.testing.assert_allclose(scaler.spread, [np.sqrt(8 / 3), 1])
    with pytest.raises(InputError, match=r"range 'train': no bar has all features. Give more bars"):
        fit_scaler(np.full((4, 1, 2), NAN), CONFIG)
