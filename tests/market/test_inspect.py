"""`python -m jaxtrade.market inspect`: what it prints, its exit code, its flags; and the other subcommands."""

import argparse
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from jaxtrade.config.market import LoadConfig
from jaxtrade.errors import InputError
from jaxtrade.market import cache
from jaxtrade.market.__main__ import command
from jaxtrade.market.bars import load_bars
from jaxtrade.market.flags import add_load_flags, load_config
from jaxtrade.market.inspect import inspect, plot_closes
from jaxtrade.market.reading import Reading
from jaxtrade.market.table import hash_bars
from tests.helpers.bad_files import BAD_FILES, DAILY, HOURLY, text_of, write_bad
from tests.helpers.planting import ROOT, run_python
from tests.helpers.price_files import GOOD_TEXT


@pytest.fixture
def good(tmp_path: Path) -> str:
    (tmp_path / "prices.csv").write_text(text_of(HOURLY), encoding="utf-8")
    return str(tmp_path / "prices.csv")


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    return command(["inspect", *argv]), capsys.readouterr().out


def test_it_tells_how_the_file_was_understood(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = printed(capsys, good)
    assert code == 0
    assert text.startswith(f"{good}: 72 bars of 1 symbol\n")
    for piece in ("UTF-8", "comma", "%Y-%m-%d", "taken as UTC", "adjusted", "N-DATA-063"):
        assert piece in text
    assert re.search(r"\n  prices +72  2020-01-06T00:00:00Z 2020-01-08T23:00:00Z +1 h +0\n", text)
    assert f"data hash {hash_bars(load_bars(good))}\n  PASSES: --data {good}\n" in text


def test_the_zone_given_is_the_zone_told_and_used(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--timezone", "--market.load.timezone"):
        code, text = printed(capsys, good, flag, "Europe/Berlin")
        assert code == 0
        assert "2020-01-05T23:00:00Z" in text
        assert text.endswith(f"  PASSES: --data {good} --market.load.timezone Europe/Berlin\n")


def test_the_plot_rises_with_the_prices(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    frame = load_frame(np.arange(1.0, 101.0))
    lines = plot_closes(frame)
    drawn = [line[15:] for line in lines[2:]]
    assert lines[1] == "  close of X"
    assert drawn[0].rstrip().endswith("*")
    assert drawn[-1].startswith("*")
    assert all(len(one.rstrip()) > len(two.rstrip()) for one, two in pairwise(drawn))
    assert "close of prices" in printed(capsys, good, "--plot")[1]
    assert "close of prices" not in printed(capsys, good)[1]
    assert plot_closes(load_frame(np.full(3, np.nan))) == []
    assert len(plot_closes(load_frame(np.full(3, 7.0)))) > 3


def load_frame(close: np.ndarray) -> Reading:
    import pandas as pd

    return Reading("x", "X", pd.DataFrame({"close": close}), np.arange(len(close)), {})


@pytest.mark.parametrize("what", [what for what, bad in BAD_FILES.items() if bad.code >= "E-DATA-020"])
def test_what_it_says_would_mend_a_file_does(tmp_path: Path, what: str) -> None:
    bad = BAD_FILES[what]
    path = str(write_bad(tmp_path, bad))
    try:
        found = inspect(path, bad.config)
    except InputError:
        return  # it cannot be read at all
    assert not found.passes
    verdict = found.lines[-1]
    if "It passes with:" not in verdict:
        assert bad.code in ("E-DATA-026", "E-DATA-033", "E-DATA-037") or "stays" in verdict
        return
    flags = verdict.split(path, 1)[1].split()
    parser = argparse.ArgumentParser()
    add_load_flags(parser)
    config = load_config(parser.parse_args(flags))
    assert inspect(path, config).passes
    assert config.repair or config.accept


def test_a_panel_of_many_symbols_fits_a_screen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(40):
        text = GOOD_TEXT if number % 2 else GOOD_TEXT.replace("11,13,10", "11,9,10").replace("300", "-300")
        (tmp_path / f"S{number:02}.csv").write_text(text, encoding="utf-8")
    code, text = printed(capsys, str(tmp_path), "--plot")
    assert code == 2
    assert len(text.splitlines()) <= 60
    assert "... and 30 more" in text
    assert "20 symbols" in text
    assert text.endswith(" --market.load.repair drop-row clip\n")


def test_only_some_symbols(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "A.csv").write_text(GOOD_TEXT, encoding="utf-8")
    (tmp_path / "B.csv").write_text(GOOD_TEXT.replace("300", "-300"), encoding="utf-8")
    assert printed(capsys, str(tmp_path), "--symbols", "A")[0] == 0
    assert printed(capsys, str(tmp_path), "--symbols", "A", "B")[0] == 2


def test_every_setting_is_a_flag_under_both_names() -> None:
    parser = argparse.ArgumentParser()
    add_load_flags(parser)
    flags = {flag for action in parser._actions for flag in action.option_strings}
    names = [name.replace("_", "-") for name in LoadConfig.model_fields]
    assert flags >= {f"--{name}" for name in names} | {f"--market.load.{name}" for name in names}
    assert all(action.help for action in parser._actions)
    assert load_config(parser.parse_args([])) == LoadConfig()
    base = LoadConfig(timezone="UTC", repair=("sort",))
    given = parser.parse_args(["--repair", "clip,drop-row", "sort", "--rescale", "A=0.01", "B=0.1", "--label", "end"])
    assert load_config(given, base) == LoadConfig(
        timezone="UTC", repair=("clip", "drop-row", "sort"), rescale={"A": 0.01, "B": 0.1}, label="end"
    )
    assert load_config(parser.parse_args(["--market.load.accept", "E-DATA-044"])).accept == ("E-DATA-044",)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["inspect"], "inspect: the following arguments are required: PATH"),
        (["inspect", "x", "--repair", "magic"], r"^--repair: .*'magic'"),
        (["inspect", "x", "--accept", "E-DATA-022"], r"^--accept: .*which cannot be accepted"),
        (["inspect", "x", "--timzone", "UTC"], r"unknown argument '--timzone'. Did you mean '--timezone'\?"),
        (["inspect", "x", "--rescale", "-1"], r"^--rescale: must be at least 0"),
        (["inspct"], r"unknown command 'inspct'. Did you mean 'inspect'\?"),
        (["cache", "empty"], "invalid choice"),
    ],
)
def test_wrong_flags_are_refused(argv: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        command(argv)


def test_as_a_command(tmp_path: Path) -> None:
    """One line on stderr and exit code 2 for what cannot be read; all findings and 2 for what the gate refuses."""
    absent = run_python(ROOT, "-m", "jaxtrade.market", "inspect", str(tmp_path / "none.csv"))
    assert (absent.returncode, absent.stdout) == (2, "")
    assert absent.stderr.startswith("error: E-DATA-001 ")
    assert len(absent.stderr.splitlines()) == 1
    refused = run_python(ROOT, "-m", "jaxtrade.market", "inspect", str(write_bad(tmp_path, BAD_FILES["newest first"])))
    assert (refused.returncode, refused.stderr) == (2, "")
    assert "REFUSED: E-DATA-035 unsorted" in refused.stdout


def test_help_and_the_other_commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for argv in ([], ["--help"]):
        assert command(argv) == 0
        assert "inspect PATH" in capsys.readouterr().out
    entries = [cache.Listed("0" * 64, "sample:nasdaq", 2_500_000, 86_400.0, 3.0)]
    monkeypatch.setattr(cache, "list_entries", lambda: entries)
    monkeypatch.setattr(cache, "clear", lambda: (1, 2_500_000))
    assert command(["cache", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 table, 2.5 MB"
    assert command(["cache", "clear"]) == 0
    assert capsys.readouterr().out == "deleted 1 table, 2.5 MB\n"
    with pytest.raises(SystemExit) as end:
        command(["folds", "--help"])
    assert end.value.code == 0


def test_a_file_whose_every_row_is_dropped_has_no_prices_left(tmp_path: Path) -> None:
    rows = [",".join([line.split(",")[0], "0", "0", "0", "0", "1"]) for line in DAILY]
    (tmp_path / "prices.csv").write_text(text_of(rows), encoding="utf-8")
    found = inspect(str(tmp_path / "prices.csv"), LoadConfig(repair=("drop-row",)))
    assert not found.passes
    assert any("REFUSED: E-DATA-026" in line for line in found.lines)
