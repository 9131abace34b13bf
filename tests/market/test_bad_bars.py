"""Files that are refused: each message names code, file, row, column, time and value where there are, and a remedy."""

import sys
from pathlib import Path

import numpy as np
import pytest

from jaxtrade.config.market import LoadConfig
from jaxtrade.errors import InputError
from jaxtrade.market import gate
from jaxtrade.market.__main__ import command
from jaxtrade.market.bars import load, load_bars
from jaxtrade.market.codes import RULES
from tests.helpers.bad_files import BAD_FILES, CELLS, HOURLY, SERIES, TIMES, text_of, write_bad
from tests.helpers.price_files import GOOD_TEXT, PANEL_TEXT, load_text


def refusal(folder: Path, what: str) -> str:
    bad = BAD_FILES[what]
    with pytest.raises(InputError) as caught:
        load(str(write_bad(folder, bad)), bad.config)
    return str(caught.value)


@pytest.mark.parametrize("what", BAD_FILES)
def test_bad_files_are_refused(tmp_path: Path, what: str) -> None:
    bad, text = BAD_FILES[what], refusal(tmp_path, what)
    assert text.startswith(f"{bad.code} {tmp_path / bad.name}")
    assert f"violates '{RULES[bad.code].rule}'" in text
    assert RULES[bad.code].remedy in text
    for repair in RULES[bad.code].repairs:
        assert f"--market.load.repair {repair}" in text
    assert text.endswith(". Nothing was written")
    assert "\n" not in text
    for piece in bad.pieces.split("|"):
        assert piece in text
    assert [file.name for file in tmp_path.iterdir()] == [bad.name] * (bad.content is not None)


def test_there_are_at_least_forty_bad_files_and_every_defect_of_bars_is_among_them() -> None:
    assert len(BAD_FILES) >= 60
    defects = {code for code in RULES if "E-DATA-020" <= code <= "E-DATA-045"}
    assert {bad.code for bad in (CELLS | TIMES | SERIES).values()} == defects


@pytest.mark.parametrize("what", BAD_FILES)
def test_inspect_tells_what_is_wrong_and_exits_with_2(
    tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints what was understood; what cannot be read at all is an error of its own."""
    bad = BAD_FILES[what]
    path = write_bad(tmp_path, bad)
    changed = bad.config.model_dump(exclude_defaults=True)
    flags = [word for name, value in changed.items() for word in (f"--{name}", str(value))]
    try:
        assert command(["inspect", str(path), *flags]) == 2
        printed = capsys.readouterr().out
        assert f"  {bad.code} " in printed
        assert "REFUSED: " in printed
    except InputError as error:
        assert str(error).startswith(bad.code)


def test_the_gate_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the checks, what they alone find goes through: so the refusals above are theirs."""
    monkeypatch.setattr(gate, "check_readings", lambda readings, terms: [])
    for bad in (CELLS | SERIES).values():
        assert len(load_bars(str(write_bad(tmp_path, bad)), config=bad.config).time)


def test_the_worst_comes_first_and_the_others_are_counted(tmp_path: Path) -> None:
    text = GOOD_TEXT.replace("11,13,10,12,200", "11,13,-10,x,200").replace("2020-01-03", "2020-01-02")
    with pytest.raises(InputError) as caught:
        load_text(tmp_path, text)
    assert str(caught.value).startswith(f"E-DATA-020 {tmp_path / 'prices.csv'} row 3 ")
    counted = f" 2 more findings: python -m jaxtrade.market inspect {tmp_path / 'prices.csv'}. Nothing was written"
    assert str(caught.value).endswith(counted)


def test_the_same_symbol_in_two_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "A.csv").write_text(GOOD_TEXT, encoding="utf-8")
    (tmp_path / "b.csv").write_text(PANEL_TEXT.format("symbol"), encoding="utf-8")
    with pytest.raises(InputError, match=r"^E-DATA-010 .*symbol '?A'? .*violates 'a symbol is in one file only'"):
        load_bars(str(tmp_path))


def test_unknown_symbols_and_samples_are_refused_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^E-DATA-009 .*symbol 'prise' is not in .*Did you mean 'prices'\?"):
        load_text(tmp_path, GOOD_TEXT, symbols=("prise",))
    with pytest.raises(InputError, match=r"sample:nasdak.*Did you mean 'nasdaq'\?"):
        load_bars("sample:nasdak")
    with pytest.raises(InputError, match=r"sample:.*Known: both, nasdaq, sp500"):
        load_bars("sample:")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^E-DATA-00[12] .*{tmp_path.name}: "):
        load_bars(str(tmp_path))


def test_only_the_symbols_asked_for_are_judged(tmp_path: Path) -> None:
    text = PANEL_TEXT.format("symbol").replace("2020-01-02,A,22,23", "2020-01-02,A,22,-23")
    assert load_text(tmp_path, text, symbols=("B",)).symbols == ("B",)
    with pytest.raises(InputError, match="symbol A: value -23"):
        load_text(tmp_path, text)


def test_an_unknown_calendar_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(text_of(HOURLY), encoding="utf-8")
    for calendar, told in (
        ("XNYSE", "Did you mean 'XNYS'"),
        ("IBM=XNYS", "names symbol 'IBM', which is not in"),
    ):
        with pytest.raises(InputError, match=f"^market.load.calendar: .*{told}"):
            load_bars(str(tmp_path / "prices.csv"), config=LoadConfig(calendar=calendar))


def test_a_calendar_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    (tmp_path / "prices.csv").write_text(text_of(HOURLY), encoding="utf-8")
    with pytest.raises(InputError, match=r"needs exchange-calendars. pip install 'jaxtrade\[calendars\]'"):
        load_bars(str(tmp_path / "prices.csv"), config=LoadConfig(calendar="XNYS"))


def test_a_long_column_of_mixed_types_warns_of_nothing(tmp_path: Path) -> None:
    """Pandas guesses types in pieces of some 130,000 rows, and warns on stderr where two pieces differ."""
    minutes = np.datetime64("2020-01-01T00:00", "m") + np.arange(140_000)
    rows = [f"{minute},10,11,5\n" for minute in minutes]
    with pytest.raises(InputError, match=r"row 140001 .*column 'volume' symbol prices: 'x' is no number"):
        load_text(tmp_path, "date,open,close,volume\n" + "".join(rows)[:-2] + "x\n")
