"""The files of an evaluation appear whole or not at all, and take nothing with them that is not theirs."""

import dataclasses
import errno
import json
import os
import resource
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eval_bridge import files
from eval_bridge.console import console_text
from eval_bridge.ensemble import load_policy
from eval_bridge.evaluation import Evaluation, Options, evaluate
from eval_bridge.files import clean, read_table, replace_files, require_writable, write_evaluation
from eval_bridge.market import load_market
from eval_bridge.metrics import FIGURES
from eval_bridge.metrics.schema import check_schema
from jaxtrade.errors import InputError
from tests.helpers.backtests import no_pictures, read_metrics, write_case
from tests.helpers.commands import contents


@lru_cache
def judged(folder: Path, **options: Any) -> Evaluation:
    loaded = load_policy(write_case(folder))
    table = load_market(loaded.bundles[0].manifest, str(folder / "prices.csv"))
    return evaluate(loaded.policy, loaded.bundles[0], table, "test", Options(**options))


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return judged(tmp_path_factory.mktemp("files"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    no_pictures(monkeypatch)


def test_pictures(tmp_path: Path, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    write_evaluation(tmp_path, evaluation)
    made = [path.read_bytes()[:4] for path in (tmp_path / "plots").iterdir()]
    assert len(made) >= 4
    assert set(made) == {b"\x89PNG"}


def test_metrics_json(tmp_path: Path, evaluation: Evaluation) -> None:
    """Keys in their order, figures in that of the catalog, null for what is not defined; nothing of the run itself."""
    report = write_evaluation(tmp_path / "new" / "out", evaluation)
    assert report == tmp_path / "new" / "out" / "report.html"
    found = read_metrics(report.parent)
    keys = ["schema_version", "about", "calendar", "initial_cash", "policy", "undefined", "baselines", "honesty"]
    assert list(found) == [*keys, "constraints", "rewards"]
    assert list(found["policy"]) == list(FIGURES)
    for name, value in evaluation.figures.items():
        assert found["policy"][name] == (None if np.isnan(value) else value)
        assert (found["policy"][name] is None) == (name in found["undefined"])
    assert list(found["baselines"]) == list(evaluation.baselines)
    assert check_schema(found) == []
    text = (report.parent / "metrics.json").read_text()
    for secret in ("ledger", "openings", "versions", "NaN"):
        assert secret not in text
    assert "values" not in found["honesty"]["shift_null"]


def test_provenance(tmp_path: Path, evaluation: Evaluation) -> None:
    write_evaluation(tmp_path, evaluation)
    found = json.loads((tmp_path / "provenance.json").read_text())
    assert found["data_sha256"] == evaluation.result.table.data_hash
    assert found["options"] == dataclasses.asdict(Options())
    assert {"jaxtrade", "numpy", "python"} <= set(found["versions"])


def test_an_evaluation_speaks_for_itself(evaluation: Evaluation) -> None:
    text = str(evaluation)
    assert "Final equity" in text
    assert evaluation.verdict in text.replace("\n  ", " ")


@pytest.mark.parametrize(
    ("width", "columns"),
    [(30, "policy buy and hold"), (80, "policy buy and hold random"), (200, "policy buy and hold random momentum")],
)
def test_the_verdict_stands_at_every_width(evaluation: Evaluation, width: int, columns: str) -> None:
    lines = console_text(evaluation, width).splitlines()
    assert " ".join(lines[1].split()).startswith(columns)
    assert "".join(evaluation.verdict.split()) in "".join("".join(lines).split())
    assert max(map(len, lines)) <= max(width, 56)


def test_open_report(evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    report = evaluation.open_report()
    assert shown == [report.as_uri()]
    assert report.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_other_files_stay(tmp_path: Path, evaluation: Evaluation) -> None:
    """Whose folder it is too: notes stay, tables of an earlier result and old plots go."""
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "data.csv").write_text("mine")
    (tmp_path / "stress.parquet").write_text("old")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "old.png").write_text("old")
    write_evaluation(tmp_path, evaluation)
    made = contents(tmp_path)
    assert made["notes.txt"] == made["data.csv"] == b"mine"
    assert "stress.parquet" not in made
    assert "plots/old.png" not in made
    assert not [name for name in made if "writing" in name]


@pytest.mark.parametrize("failing", ["metrics.json", "provenance.json", "trades.csv", "rewards.csv", "report", "plots"])
def test_what_fails_leaves_all_as_it_was(
    tmp_path: Path, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Whichever file it is, in a folder with an earlier result and in one that is not there yet."""
    write_evaluation(tmp_path / "old", evaluation, "parquet")
    before = contents(tmp_path)

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fail_at(write: Any) -> Any:
        return lambda path, data: full() if path.name == failing else write(path, data)

    monkeypatch.setattr(files, "write_json", fail_at(files.write_json))
    monkeypatch.setattr(files, "write_table", fail_at(files.write_table))
    if failing in ("report", "plots"):
        monkeypatch.setattr(f"eval_bridge.report.{'render_report' if failing == 'report' else 'write_plots'}", full)
    for folder in ("old", "a/b/new"):
        with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)\. Free space, or"):
            write_evaluation(tmp_path / folder, evaluation)
        assert contents(tmp_path) == before


def test_a_file_that_the_system_cuts(tmp_path: Path, evaluation: Evaluation) -> None:
    """No stand-in: the kernel refuses to write more than 200 kB, of which the report has more."""
    write_evaluation(tmp_path, evaluation)
    before, limits = contents(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"cannot be written \(File too large\)"):
            write_evaluation(tmp_path, evaluation)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("place", ["/proc/nowhere", "file/out", "file"])
def test_places_that_cannot_be_written(tmp_path: Path, evaluation: Evaluation, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    for attempt in (lambda: require_writable(tmp_path / place), lambda: write_evaluation(tmp_path / place, evaluation)):
        with pytest.raises(InputError, match="cannot be written"):
            attempt()
    assert contents(tmp_path) == {"file": b"mine"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_only_be_read(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(InputError, match="Permission denied"):
        require_writable(tmp_path / "out")


def test_a_file_where_a_folder_must_be(tmp_path: Path, evaluation: Evaluation) -> None:
    (tmp_path / "plots").write_text("mine")
    with pytest.raises(InputError, match=r"cannot be written \('plots' is a file there\)"):
        write_evaluation(tmp_path, evaluation)
    assert contents(tmp_path) == {"plots": b"mine"}


def test_asking_leaves_nothing_behind(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b")
    assert contents(tmp_path) == {}


def test_an_interruption_leaves_all_as_it_was(tmp_path: Path) -> None:
    def write(place: Path) -> None:
        (place / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_files(tmp_path / "out", write, set())
    assert contents(tmp_path) == {}


def test_json_of_numpy() -> None:
    assert clean({1: np.float64("nan"), "a": (np.int64(3), np.bool_(True), np.array([1.5, np.inf])), "b": None}) == {
        "1": None,
        "a": [3, True, [1.5, None]],
        "b": None,
    }


@pytest.mark.parametrize("damage", ["", "a,b\n1,2\n", "time,equity\nnever,1\n"])
def test_a_damaged_table(tmp_path: Path, damage: str) -> None:
    (tmp_path / "equity.csv").write_text(damage)
    with pytest.raises(InputError, match="table 'equity' cannot be read"):
        read_table(tmp_path, "equity")


def test_floats_come_back_as_they_were(tmp_path: Path, evaluation: Evaluation) -> None:
    write_evaluation(tmp_path, evaluation)
    np.testing.assert_array_equal(read_table(tmp_path, "equity")["equity"], evaluation.result.equity)
    np.testing.assert_array_equal(read_table(tmp_path, "equity")["time"], pd.to_datetime(evaluation.result.time))


def test_an_unknown_format(tmp_path: Path, evaluation: Evaluation) -> None:
    with pytest.raises(InputError, match=r"unknown table format 'cvs'\. Did you mean 'csv'\?"):
        evaluation.write(tmp_path / "x", "cvs")
    assert contents(tmp_path) == {}
