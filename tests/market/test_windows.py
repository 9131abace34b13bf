"""The table of a walk-forward window: bitwise that of `load_table`, blind to what follows, sealed like any other."""

import os
from pathlib import Path

import numpy as np
import pytest

from jaxtrade.config import MarketConfig, SplitConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.errors import InputError
from jaxtrade.market import table as table_room
from jaxtrade.market import windows
from jaxtrade.market.features import compute
from jaxtrade.market.folds import Kind
from jaxtrade.market.leaks import HOWS, change_after, differences, market_leaks, statistics_leaks
from jaxtrade.market.loading import load_table
from jaxtrade.market.scales import fit_scaler, scaler_record
from jaxtrade.market.table import MarketTable, build_table, marks, prepare_bars, seal
from jaxtrade.market.windows import Prepared, Sizes, prepare, walk_forward_splits, window_table
from tests.helpers.tables import assert_same_table
from tests.helpers.windows import NAMES, assert_windows

WINDOW = 30
PLACES = (Path(os.environ.get("JAXTRADE_DATA_DIR", "")), Path(__file__).parents[2].parent / "shared" / "data")
GOLD = next((file for place in PLACES if (file := place / "gold" / "XAUUSDm_15min.csv.gz").exists()), None)
SPLITS = {
    "defaults": SplitConfig(),
    "shares": SplitConfig(train_from=0.3, train_until=0.5, validation_until=0.6, test_until=0.7, purge=3, embargo=4),
    "open end": SplitConfig(train_from="2003-06-01", train_until="2010-12-31", validation_until=0.85),
    "open beginning": SplitConfig(train_until=0.5, validation_until=0.6, test_until=0.61, embargo=9),
}


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare_bars(random_bars(900, symbols=2, seed=3), MarketConfig(), WINDOW)


@pytest.fixture(scope="module")
def splits(prepared: Prepared) -> list[SplitConfig]:
    return walk_forward_splits(prepared.bars.time, prepared.span, 4, Sizes(), purge=5, embargo=5)


@pytest.mark.parametrize("source", ["sample:nasdaq", "sample:sp500"])
@pytest.mark.parametrize("normalize", ["zscore", "rank"])
def test_window_tables_are_those_of_load_table(source: str, normalize: str) -> None:
    config = MarketConfig.model_validate({"normalize": normalize})
    ready = prepare(source, config, WINDOW)
    rolled = walk_forward_splits(ready.bars.time, ready.span, 3, Sizes(), purge=5, embargo=5)
    for split in (*SPLITS.values(), *rolled):
        fresh = load_table(source, config.model_copy(update={"split": split}), WINDOW)
        assert_same_table(window_table(ready, split), fresh)
        assert_same_table(window_table(ready, split, fresh.scaler), fresh)


@pytest.mark.nightly
@pytest.mark.skipif(GOLD is None, reason="the folder shared/data of real exports is not there")
@pytest.mark.parametrize("kind", ["rolling", "expanding"])
def test_window_tables_of_real_gold(kind: Kind) -> None:
    config, ready = MarketConfig(), prepare(str(GOLD), MarketConfig(), 260)
    rolled = walk_forward_splits(ready.bars.time, ready.span, 8, Sizes(), kind, purge=5, embargo=5)
    assert len(rolled) == 8
    for split in (*rolled, SPLITS["shares"], SplitConfig()):
        fresh = load_table(str(GOLD), config.model_copy(update={"split": split}), 260)
        assert_same_table(window_table(ready, split), fresh)
    assert_windows(ready.bars.time, ready.span, rolled, 5, 5)


def test_statistics_are_those_of_the_rows_that_training_sees(prepared: Prepared, splits: list[SplitConfig]) -> None:
    config = prepared.config
    raw = compute(prepared.bars, config).raw
    fitted = set()
    for split in splits:
        table = window_table(prepared, split)
        first, last = table.ranges["train"]
        seen = raw[first - WINDOW + 1 : last + 1]
        assert scaler_record(table.scaler) == scaler_record(fit_scaler(seen, config))
        fitted.add(tuple(table.scaler.center))
    assert len(fitted) == len(splits), "every window has its own"


def test_without_a_first_date_training_begins_where_it_did(prepared: Prepared) -> None:
    """Also where the first date lies before the history: it does not reach into the warm-up."""
    plain = window_table(prepared, SplitConfig())
    early = window_table(prepared, SplitConfig(train_from="1990-01-01"))
    assert plain.ranges == early.ranges
    assert plain.ranges["train"].first == prepared.span.first == plain.ranges["all"].first
    np.testing.assert_array_equal(plain.features, early.features)


def assert_blind(table: MarketTable) -> None:
    """What follows a window's test changes nothing in its table up to there; what follows training, no statistic."""
    for name in ("train", "test"):
        last = table.ranges[name].last
        for number, how in enumerate(HOWS):
            end = table.config.split.purge if (name, how) == ("train", "cut") else 0  # of training's last day
            changed = change_after(table.bars, last + end, how, seed=number)
            other = window_table(prepare_bars(changed, table.config, table.window), table.config.split)
            assert other.ranges["train"] == table.ranges["train"]
            assert scaler_record(other.scaler) == scaler_record(table.scaler)
            assert differences(table, other, last, outcomes=how == "noise") == []
            assert other.data_hash != table.data_hash


def test_windows_know_nothing_of_what_follows_them(prepared: Prepared, splits: list[SplitConfig]) -> None:
    for split in splits[:-1]:
        assert_blind(window_table(prepared, split))


def test_statistics_beyond_the_window_are_caught(
    prepared: Prepared, splits: list[SplitConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole(rows: np.ndarray, config: MarketConfig) -> object:
        return fit_scaler(rows.base[prepared.warm :], config)

    monkeypatch.setattr(table_room, "fit_scaler", whole)
    with pytest.raises(AssertionError):
        assert_blind(window_table(prepared, splits[0]))


def test_the_seal_and_the_leak_check_hold(prepared: Prepared, splits: list[SplitConfig]) -> None:
    table = window_table(prepared, splits[1])
    closed = seal(table)
    for name in ("test", "all"):
        with pytest.raises(InputError, match=f"range '{name}': is sealed"):
            closed.span(name)
    assert {name: closed.span(name) for name in NAMES[:2]} == {name: table.ranges[name] for name in NAMES[:2]}
    assert statistics_leaks(table) == []
    cuts = [span.last for span in table.ranges.values() if span.last < len(table.time) - 1]
    assert [leak for _, _, found in market_leaks(table, cuts) for leak in found] == []


def test_statistics_of_another_window_are_a_leak(prepared: Prepared, splits: list[SplitConfig]) -> None:
    table = window_table(prepared, splits[0], window_table(prepared, splits[1]).scaler)
    assert {leak.how for leak in statistics_leaks(table)} == {"as stored"}


def test_a_restricted_window_hides_only_what_follows(prepared: Prepared, splits: list[SplitConfig]) -> None:
    table = window_table(prepared, splits[1])
    for name in NAMES:
        last = table.ranges[name].last
        features, known, outcome = table.restricted(table.ranges[name])
        np.testing.assert_array_equal(features[: last + 1], table.features[: last + 1])
        np.testing.assert_array_equal(known.close[: last + 1], marks(prepared.bars)[: last + 1])
        np.testing.assert_array_equal(outcome.gap[:last], table.outcome.gap[:last])
        assert np.isnan(features[last + 1 :]).all()
        assert np.isnan(outcome.gap[last:]).all()


def test_the_report_is_the_tables_own(prepared: Prepared) -> None:
    """A note that someone adds to one table's report is not in the next one's."""
    window_table(prepared, SplitConfig()).report["note"] = "mine"
    assert window_table(prepared, SplitConfig()).report == prepared.report == {}


def test_one_reading_serves_all_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    readings, computed = [], []
    load, features = windows.load, table_room.feature_room.compute
    monkeypatch.setattr(windows, "load", lambda *given: readings.append(given) or load(*given))
    monkeypatch.setattr(table_room.feature_room, "compute", lambda *given: computed.append(1) or features(*given))
    ready = prepare("sample:nasdaq", MarketConfig(), WINDOW)
    for split in walk_forward_splits(ready.bars.time, ready.span, 8, Sizes()):
        window_table(ready, split)
    assert (len(readings), len(computed)) == (1, 1)


def test_a_bad_split_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_room.feature_room, "compute", lambda *_: pytest.fail("it was in vain"))
    with pytest.raises(InputError, match=r"market\.split: train_until"):
        build_table(random_bars(300), MarketConfig(split=SplitConfig(train_until="2030-01-01")), WINDOW)
