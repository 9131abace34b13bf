"""Splits and dividends as events: total return unchanged, nothing known before its day, one rule for all prices."""

from pathlib import Path

import numpy as np
import pytest

from eval_bridge.backtester import replay_actor, run_backtest
from jaxtrade.config import EnvConfig, LoadConfig, MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.errors import InputError
from jaxtrade.market.bars import Bars, load_bars
from jaxtrade.market.events import adjust, attach_events
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable, build_table, hash_bars
from tests.helpers.price_files import csv_lines, write_lines

WINDOW, SPLIT_BAR = 5, 260
FREE = {"buy_percent": 0.0, "sell_percent": 0.0}
HEADER = "symbol,date,kind,value\n"


def unadjusted(bars: Bars, at: int, ratio: float) -> Bars:
    """Return the bars as they would stand in a file that knows nothing of a split: prices fall, volumes rise."""
    after = (np.arange(len(bars.time)) >= at)[:, None]
    prices = {name: np.where(after, getattr(bars, name) / ratio, getattr(bars, name)) for name in Bars._fields[2:6]}
    return bars._replace(**prices, volume=np.where(after, bars.volume * ratio, bars.volume))


def with_events(folder: Path, bars: Bars, *lines: str) -> Bars:
    (folder / "events.csv").write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return attach_events(bars, str(folder / "events.csv"))


def table_of(bars: Bars) -> MarketTable:
    return build_table(bars, MarketConfig(), WINDOW)


@pytest.mark.parametrize("ratio", [2.0, 1 / 10, 1.5])
def test_a_split_leaves_returns_and_features_unchanged(tmp_path: Path, ratio: float) -> None:
    smooth = random_bars(400)
    day = str(smooth.time[SPLIT_BAR])[:10]
    bars = with_events(tmp_path, unadjusted(smooth, SPLIT_BAR, ratio), f"S0,{day},split,{ratio!r}")
    given, wanted = table_of(bars), table_of(smooth)
    np.testing.assert_allclose(given.outcome.gap, wanted.outcome.gap, atol=1e-12)
    np.testing.assert_allclose(given.outcome.move, wanted.outcome.move, atol=1e-12)
    np.testing.assert_allclose(given.features, wanted.features, atol=1e-5)
    without = table_of(unadjusted(smooth, SPLIT_BAR, ratio))
    assert abs(without.outcome.gap[SPLIT_BAR - 1] - wanted.outcome.gap[SPLIT_BAR - 1]) > 0.3, "the split must show"


def test_an_event_changes_nothing_before_its_day(tmp_path: Path) -> None:
    bars = random_bars(400)
    day = str(bars.time[SPLIT_BAR])[:10]
    plain, event = table_of(attach_events(bars, None)), with_events(tmp_path, bars, f"S0,{day},split,3")
    split = build_table(event, MarketConfig(), WINDOW, plain.scaler)
    np.testing.assert_array_equal(split.features[:SPLIT_BAR], plain.features[:SPLIT_BAR])
    np.testing.assert_array_equal(split.mark[:SPLIT_BAR], plain.mark[:SPLIT_BAR])
    assert (split.mark[SPLIT_BAR:] == plain.mark[SPLIT_BAR:] * 3).all()


def test_a_dividend_is_paid_once_to_who_holds_at_the_ex_date(tmp_path: Path) -> None:
    bars = random_bars(400)
    day = str(bars.time[SPLIT_BAR])[:10]
    table = table_of(with_events(tmp_path, bars, f"S0,{day},dividend,1.25", f"S0,{day},dividend,0.75"))
    income = np.asarray(table.outcome.income)[:-1, 0]
    assert np.flatnonzero(income).tolist() == [SPLIT_BAR - 1]
    assert income[SPLIT_BAR - 1] == 2.0 / table.mark[SPLIT_BAR - 1, 0]
    config = EnvConfig(window=WINDOW, action="target_weight", costs=FREE)
    weights = np.full((10, 1), 0.5)
    span = Range(SPLIT_BAR - 5, SPLIT_BAR + 5)
    paid = run_backtest(table, span, config, replay_actor(weights, span.first))
    shares = float(paid.steps[3].account.position[0]) * 10_000 / table.mark[SPLIT_BAR - 1, 0]
    assert paid.series("income").sum() * 10_000 == pytest.approx(2.0 * shares, rel=1e-12)


def test_a_split_and_a_dividend_on_one_day(tmp_path: Path) -> None:
    """The dividend is money for a share of that day: two new shares, half a euro each, for an old one."""
    bars = unadjusted(random_bars(400), SPLIT_BAR, 2.0)
    day = str(bars.time[SPLIT_BAR])[:10]
    table = table_of(with_events(tmp_path, bars, f"S0,{day},split,2", f"S0,{day},dividend,0.5"))
    assert np.asarray(table.outcome.income)[SPLIT_BAR - 1, 0] == 1.0 / table.mark[SPLIT_BAR - 1, 0]


def test_events_on_days_without_a_bar_and_outside(tmp_path: Path) -> None:
    bars = random_bars(40)._replace(time=np.datetime64("2000-01-03", "s") + np.arange(40) * np.timedelta64(7, "D"))
    lines = ("S0,1999-01-01,split,2", "S0,2000-01-12,split,5", "S0,2031-01-01,dividend,1")
    found = with_events(tmp_path, bars, *lines)
    assert found.split is not None
    assert np.argwhere(found.split != 1).tolist() == [[2, 0]]
    assert found.dividend is not None
    assert not found.dividend.any()
    assert adjust(bars) is bars
    assert hash_bars(found) != hash_bars(bars)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["S0,2000-02-30,split,2"], "row 2 column 'date': '2000-02-30' is no date"),
        (["S0,2000-02-03,split,2", "S0,2000-02-03,spilt,2"], "row 3 column 'kind': 'spilt' is no kind"),
        (["S0,2000-02-03,split,0"], "row 2 column 'value': '0' is no value"),
        (["S0,2000-02-03,dividend,x"], "row 2 column 'value': 'x' is no value"),
        (["S9,2000-02-03,split,2"], "symbol 'S9' is not in the data. Known: S0"),
    ],
)
def test_bad_events_are_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        with_events(tmp_path, random_bars(40), *lines)
    assert message in str(caught.value)


def test_whoever_loads_bars_gets_their_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from the home folder: the gate, which a declared split satisfies, and the panel read the same file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    bars = unadjusted(random_bars(400), SPLIT_BAR, 2.0)
    path = write_lines(tmp_path / "S0.csv", csv_lines(bars))
    (tmp_path / "events.csv").write_text(f"{HEADER}S0,{str(bars.time[SPLIT_BAR])[:10]},split,2\n", encoding="utf-8")
    with pytest.raises(InputError, match="E-DATA-044"):
        load_bars(str(path))
    found = load_bars(str(path), config=LoadConfig(events="~/events.csv"))
    assert found.split is not None
    assert np.argwhere(found.split != 1).tolist() == [[SPLIT_BAR, 0]]


def test_files_without_the_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("symbol,day\nS0,1\n", encoding="utf-8")
    with pytest.raises(InputError, match="column 'date' is missing; found"):
        attach_events(random_bars(40), str(tmp_path / "a.csv"))
    with pytest.raises(InputError, match="events cannot be read"):
        attach_events(random_bars(40), str(tmp_path / "none.csv"))
