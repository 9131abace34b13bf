"""Each repair on each defect that it mends: what it changes, what it leaves, and that it is counted and recorded."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxtrade.config.market import LoadConfig
from jaxtrade.errors import InputError
from jaxtrade.market import repairs
from jaxtrade.market.bars import Loaded, load, load_bars
from jaxtrade.market.codes import RULES
from jaxtrade.market.repairs import from_points
from tests.helpers.bad_files import BAD_FILES, DAILY, HOURLY, BadFile, scaled, text_of, write_bad
from tests.helpers.price_files import COLUMNS, GOOD_TEXT, HEADER

MENDED = {  # defects that a repair mends by making the file another valid one
    "text": "2020-01-02",
    "infinite": "2020-01-02",
    "beyond float64": "2020-01-02",
    "zero": "2020-01-01",
    "negative": "2020-01-02",
    "volume": "2020-01-03",
    "high too low": "2020-01-02",
    "full int32": "2020-01-02",
}
STUBBORN = {  # no close before the first bar; no open or close to hold
    *((what, "forward-fill") for what in ("zero", "zero low", "two zeros")),
    ("high below low", "clip"),
}
WAYS = [(what, repair) for what, bad in BAD_FILES.items() for repair in RULES[bad.code].repairs]
WAYS = [way for way in WAYS if way not in STUBBORN]


def mended(folder: Path, bad: BadFile, *names: str, **settings: object) -> Loaded:
    config = bad.config.model_copy(update={"repair": names, **settings})
    return load(str(write_bad(folder, bad)), config)


@pytest.mark.parametrize(("what", "repair"), WAYS)
def test_each_repair_mends_each_defect_it_is_named_for(tmp_path: Path, what: str, repair: str) -> None:
    bad = BAD_FILES[what]
    loaded = mended(tmp_path, bad, repair)
    symbols = loaded.report.repairs[repair]
    assert sum(symbols.values()) >= 1
    assert bad.code in {each.code for each in loaded.report.findings}, "the report tells what was wrong before"
    record = json.loads(json.dumps(loaded.report.record()))
    assert record["repairs"] == {repair: symbols}
    assert record["findings"][bad.code]


@pytest.mark.parametrize(("what", "repair"), WAYS)
def test_each_test_of_a_repair_can_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, repair: str
) -> None:
    """A repair that does nothing lets the gate refuse the file still."""
    if repair == "rescale":
        monkeypatch.setattr(repairs, "_rescale", lambda reading, factor: repairs.Mended(reading, 0))
    else:
        monkeypatch.setitem(repairs.REPAIRS, repair, lambda reading, findings: repairs.Mended(reading, 0))
    with pytest.raises(InputError, match=f"^{BAD_FILES[what].code} "):
        mended(tmp_path, BAD_FILES[what], repair)


@pytest.mark.parametrize("what", MENDED)
def test_drop_row_leaves_the_other_rows_as_they_are(tmp_path: Path, what: str) -> None:
    loaded = mended(tmp_path, BAD_FILES[what], "drop-row")
    (tmp_path / "good.csv").write_text(GOOD_TEXT, encoding="utf-8")
    good = load_bars(str(tmp_path / "good.csv"))
    keep = good.time.astype(str) != f"{MENDED[what]}T00:00:00"
    assert loaded.report.repairs == {"drop-row": {"prices": 1}}
    np.testing.assert_array_equal(loaded.bars.time, good.time[keep])
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(loaded.bars, name), getattr(good, name)[keep])


def test_forward_fill_uses_the_last_valid_close_and_nothing_after(tmp_path: Path) -> None:
    text = HEADER + "\n2020-01-01,10,12,9,11,100\n2020-01-02,11,13,10,-5,200\n2020-01-03,x,13,10,12,300\n"
    loaded = mended(tmp_path, BadFile("", "", text + "2020-01-04,12,14,11,13,-400\n"), "forward-fill")
    assert loaded.report.repairs == {"forward-fill": {"prices": 3}}
    bars = [getattr(loaded.bars, name)[:, 0].tolist() for name in COLUMNS]
    assert list(zip(*bars, strict=True)) == [
        (10, 12, 9, 11, 100),
        (11, 11, 11, 11, 0),
        (11, 11, 11, 11, 0),
        (12, 14, 11, 13, 0),
    ]


def test_forward_fill_has_nothing_before_the_first_close(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^E-DATA-022 .* row 2 "):
        mended(tmp_path, BAD_FILES["zero"], "forward-fill")
    dropped = mended(tmp_path, BAD_FILES["zero"], "forward-fill", "drop-row")
    assert dropped.report.repairs == {"drop-row": {"prices": 1}}


def test_forward_fill_is_causal_whatever_follows(tmp_path: Path) -> None:
    lines = [*DAILY[:20], DAILY[20].replace(DAILY[20].split(",")[4], "-1"), *DAILY[21:]]
    whole = mended(tmp_path, BadFile("", "", text_of(lines)), "forward-fill").bars
    part = mended(tmp_path, BadFile("", "", text_of(lines[:25])), "forward-fill").bars
    np.testing.assert_array_equal(whole.close[:25], part.close)


def test_clip_widens_the_range_and_nothing_else(tmp_path: Path) -> None:
    bars = mended(tmp_path, BAD_FILES["high too low"], "clip").bars
    assert bars.high[:, 0].tolist() == [12, 12, 14]
    bars = mended(tmp_path, BAD_FILES["low too high"], "clip").bars
    assert bars.low[:, 0].tolist() == [9, 11, 11]
    assert (bars.open[1, 0], bars.close[1, 0]) == (11, 12)
    with pytest.raises(InputError, match=r"^E-DATA-024 .* high 9.0 below low 10.0"):
        mended(tmp_path, BAD_FILES["high below low"], "clip")


def test_sort_and_dedupe_give_the_bars_of_the_sorted_file(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = [*DAILY, *(DAILY[at] for at in random.integers(0, len(DAILY), 7))]
    shuffled = BadFile("", "", text_of([rows[at] for at in random.permutation(len(rows))]))
    loaded = mended(tmp_path, shuffled, "dedupe-identical", "sort")  # in whatever order they are named
    (tmp_path / "good.csv").write_text(text_of(DAILY), encoding="utf-8")
    good = load_bars(str(tmp_path / "good.csv"))
    assert loaded.report.repairs["dedupe-identical"] == {"prices": 7}
    np.testing.assert_array_equal(loaded.bars.time, good.time)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(loaded.bars, name), getattr(good, name))


def test_dedupe_leaves_a_conflict_to_the_user(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^E-DATA-037 "):
        mended(tmp_path, BAD_FILES["conflict"], "sort", "dedupe-identical", "drop-row")


def test_rescale_divides_once(tmp_path: Path) -> None:
    """Points, dust of arithmetic included, become the very prices that a file with decimals gives."""
    points = scaled(DAILY, 1100, 0)
    cells = points[3].split(",")
    cells[1] += ".00000000001"
    dusty = [*points[:3], ",".join(cells), *points[4:]]
    loaded = mended(tmp_path, BadFile("", "", text_of(dusty), "EURUSD.csv"), "rescale")
    rows = [line.split(",") for line in points]
    decimals = [",".join([row[0], *(f"{int(cell) / 1e5:.5f}" for cell in row[1:5]), row[5]]) for row in rows]
    (tmp_path / "good.csv").write_text(text_of(decimals), encoding="utf-8")
    good = load_bars(str(tmp_path / "good.csv"))
    assert loaded.report.repairs == {"rescale": {"EURUSD": len(DAILY)}}
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(loaded.bars, name), getattr(good, name))


def test_rescale_is_correctly_rounded() -> None:
    points = np.arange(1.0, 300_000.0, 7.0)
    texts = np.array([float(f"{int(point) // 100_000}.{int(point) % 100_000:05d}") for point in points])
    np.testing.assert_array_equal(from_points(points, 100_000), texts)
    assert (points * 1e-5 != texts).any(), "the product would not be"


def test_rescale_by_a_factor_of_ones_own(tmp_path: Path) -> None:
    cents = BadFile("", "", text_of(scaled(DAILY, 100, 0)), "ACME.csv")
    assert "N-DATA-071" in {each.code for each in mended(tmp_path, cents).report.findings}
    plain = mended(tmp_path, cents).bars
    for factor in (0.01, {"ACME": 0.01}, {"default": 0.01}):
        np.testing.assert_array_equal(mended(tmp_path, cents, "rescale", rescale=factor).bars.close, plain.close / 100)
    with pytest.raises(InputError, match=r"names symbol 'ACNE', which is not in the data. Did you mean 'ACME'"):
        mended(tmp_path, cents, "rescale", rescale={"ACNE": 0.01})
    with pytest.raises(InputError, match=r"market.load.rescale: 0.0 for ACME is no factor above 0"):
        mended(tmp_path, cents, "rescale", rescale=0.0)


def test_rows_without_a_symbol_are_dropped_by_name(tmp_path: Path) -> None:
    loaded = mended(tmp_path, BAD_FILES["no symbol"], "drop-row")
    assert loaded.report.repairs == {"drop-row": {"A": 1}}
    assert loaded.bars.symbols == ("A", "B")


def test_what_is_accepted_is_not_dropped(tmp_path: Path) -> None:
    lines = text_of(HOURLY[:10], [f"2020-01-06 09:30:00,{HOURLY[10].partition(',')[2]}"], HOURLY[11:])
    two = BadFile("", "", lines.replace(HOURLY[30], f"{HOURLY[30].partition(',')[0]},-1,1,1,1,1"))
    assert mended(tmp_path, two, "drop-row").report.repairs == {"drop-row": {"prices": 2}}
    kept = mended(tmp_path, two, "drop-row", accept=("E-DATA-042",))
    assert kept.report.repairs == {"drop-row": {"prices": 1}}
    assert kept.report.accepted == ("E-DATA-042",)


def test_nothing_is_repaired_that_nobody_asked_for(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(GOOD_TEXT, encoding="utf-8")
    everything = LoadConfig(repair=("sort", "dedupe-identical", "rescale", "forward-fill", "clip", "drop-row"))
    assert load(str(tmp_path / "prices.csv"), everything).report.repairs == {}
    for what in ("high too low", "unsorted", "twice", "points"):
        with pytest.raises(InputError):
            mended(tmp_path, BAD_FILES[what])


def test_accepted_defects_are_recorded(tmp_path: Path) -> None:
    for what, bad in BAD_FILES.items():
        if RULES[bad.code].acceptable:
            loaded = load(str(write_bad(tmp_path, bad)), bad.config.model_copy(update={"accept": (bad.code,)}))
            assert loaded.report.record()["accepted"] == [bad.code], what
