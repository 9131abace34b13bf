"""`python -m train.compare`: what the files of runs and programmes say, side by side; what differs is refused."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import train.compare
from tests.helpers.commands import Ran, assert_refused, contents
from tests.helpers.planting import ROOT, run_python
from tests.helpers.programme_sample import CASES, summary
from train.compare import comparison_text
from train.compared import against, read_run, read_runs, record_of, speedup

SHA = "ab" * 32
SPAN = ["2013-01-03T00:00:00", "2015-12-31T00:00:00"]
VERDICT = "no evidence of skill: p = 0.6 (the same positions at other times 0.6, luck after one trial 0.3)"


def make_run(folder: Path, sha: str = SHA, span: Any = SPAN, resumed: int = 0, backtest: bool = False) -> Path:
    """Write what train.ppo leaves: three updates, of which two were validated."""
    folder.mkdir(parents=True)
    config = {"data": "gold.csv", "seed": 7, "network": {"kind": "mlp"}, "env": {"action": "positions"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    marks = {"data_sha256": sha, "ranges": {"validation": span} if span else {}}
    (folder / "fingerprint.json").write_text(json.dumps(marks), encoding="utf-8")
    rows = "update,timesteps,validation_log_growth\n1,2048,0.25\n2,4096,\n3,6144,-0.1\n"
    (folder / "metrics.csv").write_text(rows, encoding="utf-8")
    (folder / "timing.csv").write_text("update,seconds\n1,2.0\n2,1.5\n3,1.5\n", encoding="utf-8")
    about = {"updates": {"from": resumed, "to": 3}, "seconds": {"chunk": 5.0, "total": 12.5}}
    (folder / "performance.json").write_text(json.dumps(about), encoding="utf-8")
    (folder / "policy.npz").touch()
    if backtest:
        figures = {"total_return": 0.5, "sharpe": 0.8, "max_drawdown": 0.2}
        made = {"schema_version": 1, "policy": figures, "calendar": {"first": "2016-01-04", "last": "2018-12-31"}}
        (folder / "backtest" / "test").mkdir(parents=True)
        metrics = json.dumps(made | {"honesty": {"verdict": VERDICT}})
        (folder / "backtest" / "test" / "metrics.json").write_text(metrics, encoding="utf-8")
    return folder


def make_programme(folder: Path, name: str = "finished", sha: str = SHA, **changes: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("iterations: 8\nenv: {}\n", encoding="utf-8")
    (folder / "fingerprint.json").write_text(json.dumps({"data_sha256": sha}), encoding="utf-8")
    (folder / "programme_summary.json").write_text(json.dumps(summary(name) | changes), encoding="utf-8")
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return `run(*arguments)` of the command, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def go(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["compare", *arguments])
        capsys.readouterr()
        return Ran(train.compare.main(), *capsys.readouterr())

    return go


def row(text: str, title: str) -> list[str]:
    """Return the cells of a row; two spaces part them."""
    line = next(line for line in text.splitlines() if line.startswith(title))
    return [cell.strip() for cell in line.removeprefix(title).split("  ") if cell.strip()]


def test_a_run_is_read_from_its_files(tmp_path: Path) -> None:
    found = read_run(make_run(tmp_path / "a", backtest=True), "a")
    assert (found.kind, found.finished, found.network, found.seeds) == ("run", True, "mlp", [7])
    assert (found.steps, found.saved, found.best) == (6144, None, 0.25)
    assert (found.seconds, found.validated) == (12.5, (tuple(SPAN),))
    assert (found.total_return, found.sharpe, found.traded) == (0.5, 0.8, ("2016-01-04", "2018-12-31"))
    assert found.verdict == VERDICT
    resumed = read_run(make_run(tmp_path / "b", resumed=2), "b")
    assert resumed.seconds == 5.0  # performance.json begins at the resume, timing.csv at the first update
    (tmp_path / "b" / "performance.json").unlink()
    (tmp_path / "b" / "policy.npz").unlink()
    assert read_run(tmp_path / "b", "b")._replace(finished=True) == resumed
    assert not read_run(tmp_path / "b", "b").finished


@pytest.mark.parametrize("name", [name for name in CASES if name != "empty"])
def test_a_programme_is_read_from_its_summary(tmp_path: Path, name: str) -> None:
    made, found = summary(name), read_run(make_programme(tmp_path / "p", name), "p")
    assert (found.kind, found.finished) == ("programme", made["finished"])
    assert (found.iterations, found.candidates) == (len(made["iterations"]), made["candidates"])
    assert (found.steps, found.saved) == tuple(made["totals"]["steps"][each] for each in ("done", "saved"))
    assert (found.iqm, found.low, found.high) == tuple(
        made["totals"]["validation"][each] for each in ("iqm", "low", "high")
    )
    winners = [each["winner"]["log_growth"] for each in made["iterations"]]
    assert found.best == pytest.approx(sum(winners) / len(winners))
    out = made["honesty"] and made["honesty"]["out_of_sample"]
    assert found.total_return == (out and out["total_return"])


def test_the_table_sets_them_side_by_side(tmp_path: Path, run: Any) -> None:
    make_programme(tmp_path / "plain", "plain")
    make_programme(tmp_path / "quick")
    quick = summary("finished")["totals"]
    make_run(tmp_path / "mlp", backtest=True)
    ran = run("plain", "quick", "mlp", "--json", "out.json")
    assert (ran.code, ran.err) == (0, "")
    assert row(ran.out, "kind") == ["programme", "programme", "run"]
    assert row(ran.out, "iterations x candidates") == ["8 x 4", "8 x 4", "1 x 1"]
    saved = quick["steps"]["saved"] / quick["steps"]["plain"]
    assert row(ran.out, "steps saved") == ["0%", f"{saved:.0%}", "-"]
    assert row(ran.out, "wall-clock")[2] == "12.5 s"
    assert row(ran.out, "  faster than plain") == ["1.0x", "1.0x", "-"]  # another job: no speed-up
    assert row(ran.out, "  than its plain, estimated")[1] == f"{quick['timing']['speedup']:.1f}x"
    assert row(ran.out, "validation, best")[2] == "+0.2500 *"
    assert row(ran.out, "  against plain") == ["-", "overlaps", "other bars"]
    assert row(ran.out, "out of sample, return")[2] == "50.00% +"
    assert "* validated on other bars than plain: " in ran.out
    assert "+ traded other bars than plain: " in ran.out
    assert f"mlp: {VERDICT}" in ran.out
    data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [each["name"] for each in data["runs"]] == ["plain", "quick", "mlp"]
    assert data["runs"][2]["against_first"] == "other bars"
    assert data["runs"][2]["validated"] == [SPAN]


def test_runs_of_the_same_job_bear_no_mark_and_have_a_speedup(tmp_path: Path) -> None:
    runs = read_runs([make_run(tmp_path / "a", backtest=True), make_run(tmp_path / "b", resumed=2, backtest=True)])
    text = comparison_text(runs)
    assert "*" not in text
    assert "+ traded" not in text
    assert row(text, "  faster than a") == ["1.0x", "2.5x"]
    assert speedup(runs[1]._replace(finished=False), runs[0]) is None
    assert record_of(runs)["runs"][1]["speedup_on_first"] == 2.5


def test_intervals_that_are_apart_are_told(tmp_path: Path) -> None:
    one = read_run(make_programme(tmp_path / "p"), "p")._replace(low=0.1, high=0.2)
    assert against(one._replace(low=0.2, high=0.3), one) == "overlaps"
    assert against(one._replace(low=0.21, high=0.3), one) == "better"
    assert against(one._replace(low=0.0, high=0.09), one) == "worse"
    assert against(one._replace(low=None), one) == "-"


def damage(folder: Path, file: str, text: str) -> None:
    (folder / file).write_text(text, encoding="utf-8")


REFUSED = {
    "one": (("a",), "python -m train.compare: one run. Name two at least"),
    "none": ((), "the following arguments are required: runs. See python -m train.compare --help"),
    "flag": (("a", "b", "--jsn", "x"), "unknown argument '--jsn'. Did you mean '--json'?"),
    "missing": (("a", "nope"), "nope: no run here: config.yaml is missing. Name a folder under runs/"),
    "twice": (("a", "./a"), "a: is given twice. Name each run once"),
    "other data": (("a", "other"), "other: is on other data than a: gold.csv and gold.csv, whose bars differ"),
    "control": (("a", "control"), "control: is a run on CartPole-v1, which has no market"),
    "no update": (("a", "begun"), "begun: its metrics.csv holds no update"),
    "no summary": (("a", "early"), "early: holds no programme_summary.json: no iteration has ended"),
    "damaged summary": (("a", "cut"), "cut/programme_summary.json: cannot be read"),
    "no fingerprint": (("a", "bare"), "bare: its files cannot be read (FileNotFoundError"),
    "damaged yaml": (("a", "yaml"), "yaml: its files cannot be read ("),
    "old backtest": (("a", "old"), "metrics.json: is of another version. Run the backtest again"),
    "no folder": (("a", "b", "--json", "nope/x.json"), "nope/x.json: cannot be written (No such file or directory)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_compared_is_refused_in_a_line(tmp_path: Path, run: Any, case: str) -> None:
    for name in ("a", "b", "control", "begun", "bare", "yaml"):
        make_run(tmp_path / name)
    make_run(tmp_path / "other", sha="cd" * 32)
    make_run(tmp_path / "old", backtest=True)
    damage(tmp_path / "old", "backtest/test/metrics.json", "{}")
    damage(tmp_path / "control", "config.yaml", "env: CartPole-v1\n")
    damage(tmp_path / "begun", "metrics.csv", "update,timesteps,validation_log_growth\n")
    damage(tmp_path / "yaml", "config.yaml", "a: [1\nb: {")
    (tmp_path / "bare" / "fingerprint.json").unlink()
    for name in ("early", "cut"):
        make_programme(tmp_path / name)
    (tmp_path / "early" / "programme_summary.json").unlink()
    damage(tmp_path / "cut", "programme_summary.json", '{"schema"')
    before = contents(tmp_path)
    arguments, pieces = REFUSED[case]
    assert_refused(run(*arguments), pieces)
    assert contents(tmp_path) == before


def test_programmes_on_other_data_are_refused_by_name(tmp_path: Path, run: Any) -> None:
    make_programme(tmp_path / "p")
    make_programme(tmp_path / "q", sha="cd" * 32, data="silver.csv")
    assert_refused(run("p", "q"), "q: is on other data than p: silver.csv and /data/gold.csv.gz")
    shutil.copytree(tmp_path / "p", tmp_path / "more" / "p")
    ran = run("p", "more/p")  # alike names: the paths as given
    assert ran.code == 0
    assert row(ran.out, " " * 28) == ["p", "more/p"]


def test_help_does_not_wait_for_a_library() -> None:
    code = "import sys, train.compare\nsys.argv = ['x', '--help']\ntry: train.compare.main()\nexcept SystemExit: pass\n"
    ran = run_python(
        ROOT, "-c", code + "print(sorted({'jax', 'pandas', 'pydantic', 'numpy', 'yaml'} & set(sys.modules)))"
    )
    assert ran.stdout.splitlines()[-1] == "[]", ran.stderr
    assert "usage: python -m train.compare" in ran.stdout
