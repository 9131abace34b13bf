"""A whole run: its folder, stopping and resuming, which checkpoint is exported, and the backtest of the result."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from eval_bridge import backtest
from eval_bridge.bundle import Bundle, load_bundle
from eval_bridge.evaluation import evaluate
from eval_bridge.market import load_market
from eval_bridge.policy import make_policy
from jaxtrade.envs.synthetic import random_bars
from tests.helpers.price_files import csv_lines
from train import checkpoint, chunks, export, ppo, programs, run
from train.config import TrainConfig

UPDATES = 8
SMALL = (
    *("--num-envs", "16", "--eval-every", "2", "--env.window", "30", "--seed", "3"),
    *("--network.kind", "mlp", "--network.hidden", "8", "--network.head", "8", "--no-tensorboard"),
    *("--ppo.rollout-length", "16", "--ppo.lanes", "4", "--ppo.episode-bars", "64"),
)


class Place(NamedTuple):
    """Where the runs of this module lie."""

    folder: Path
    data: Path

    def train(self, name: str, updates: int = UPDATES) -> int:
        return ppo.command(self.arguments(name, updates))

    def arguments(self, name: str, updates: int) -> list[str]:
        steps = str(updates * 16 * 16)
        runs = ["--runs-dir", str(self.folder), "--name", name, "--total-timesteps", steps]
        return ["--data", str(self.data), *runs, *SMALL]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One uninterrupted run, `whole`; later runs of the same configuration use its compiled programs."""
    folder = tmp_path_factory.mktemp("runs")
    data = folder / "market.csv"
    data.write_text("\n".join(csv_lines(random_bars(700, seed=5))) + "\n")
    place, made, real = Place(folder, data), [], programs.make_programs

    def make_programs(*arguments: Any) -> programs.Programs:
        made.append(made[0] if made else real(*arguments))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch, jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        for name in ("DATA", "NUM_ENVS", "RUNS_DIR", "SEED"):
            patch.delenv(f"JAXTRADE_{name}", raising=False)
        patch.setattr(programs, "make_programs", make_programs)
        assert place.train("whole") == 0
        yield place


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_folder_of_a_run(place: Place) -> None:
    folder = place.folder / "whole"
    assert {path.name for path in folder.iterdir()} == {
        *("config.yaml", "fingerprint.json", "metrics.csv", "timing.csv", "gradients.csv", "monitor.csv"),
        *("performance.json", "checkpoints", "policy.npz", ".lock"),
    }
    config = TrainConfig.model_validate(yaml.safe_load((folder / "config.yaml").read_text()))
    assert (config.num_envs, config.updates, config.seed, config.name) == (16, UPDATES, 3, "whole")
    assert config.market.symbols == ("market",)
    assert config.market.split.train_until is not None
    fingerprint = json.loads((folder / "fingerprint.json").read_text())
    assert fingerprint["versions"]["jax"] == jax.__version__
    assert len(fingerprint["data_sha256"]) == 64
    rows = rows_of(folder / "metrics.csv")
    assert [row["update"] for row in rows] == [str(n + 1) for n in range(UPDATES)]
    assert [bool(row["validation_log_growth"]) for row in rows] == [False, True] * (UPDATES // 2)
    assert all(np.isfinite(float(row["loss"])) for row in rows)
    assert "seconds" not in rows[0]
    timing = rows_of(folder / "timing.csv")
    assert [row["update"] for row in timing] == [str(n + 1) for n in range(UPDATES)]
    assert len({row["compilations"] for row in timing[2:]}) == 1  # none after the first chunk and validation
    manifest = load_bundle(folder / "policy.npz").manifest
    assert manifest.certificate is not None
    assert not manifest.certificate.failures
    assert manifest.certificate.policy_error < 1e-5
    assert manifest.data.sha256 == fingerprint["data_sha256"]
    if sys.platform != "win32":
        assert (place.folder / "latest").is_symlink()


def test_the_exported_policy_is_the_best_by_validation(place: Place) -> None:
    rows = [row for row in rows_of(place.folder / "whole" / "metrics.csv") if row["validation_log_growth"]]
    best = max(rows, key=lambda row: float(row["validation_log_growth"]))
    manifest = load_bundle(place.folder / "whole" / "policy.npz").manifest
    assert manifest.update == int(best["update"])
    assert manifest.validations == int(best["update"]) // 2


def stop_after(patch: pytest.MonkeyPatch, update: int) -> None:
    """Send this process SIGINT when an update is done, as Ctrl-C would; one update a chunk."""
    real = run.run_chunk

    def run_chunk(job: Any, state: Any, count: Any, validated: bool) -> Any:
        assert int(count) == 1
        answer = real(job, state, count, validated)
        if int(answer.state.update) == update:
            os.kill(os.getpid(), signal.SIGINT)
        return answer

    patch.setattr(chunks, "CHUNK_SECONDS", 1e-9)
    patch.setattr(run, "run_chunk", run_chunk)


def stop_and_resume(place: Place, name: str, update: int) -> Path:
    """Stop a run after an update, go on with it, and return its folder."""
    folder, before = place.folder / name, signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, update)
        assert place.train(name) == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert not (folder / "policy.npz").exists()
    assert len(rows_of(folder / "metrics.csv")) == update
    assert ppo.command(["--resume", str(folder)]) == 0
    return folder


def exported(folder: Path, which: str) -> Bundle:
    """Return the bundle of a checkpoint of a run."""
    out = folder / f"{which}.npz"
    assert export.command([str(folder), "--checkpoint", which, "--out", str(out)]) == 0
    bundle = load_bundle(out)
    out.unlink()
    return bundle


@pytest.mark.parametrize("update", [4, pytest.param(5, marks=pytest.mark.nightly)])
def test_a_resumed_run_is_the_uninterrupted_one(place: Place, update: int) -> None:
    """Stopped at a validation or between two, no byte differs, but for the clock."""
    whole, folder = place.folder / "whole", stop_and_resume(place, f"stopped-{update}", update)
    for name in ("metrics.csv", "gradients.csv"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    mine, theirs = ([row | {"t": ""} for row in monitored(each)] for each in (folder, whole))
    assert mine == theirs
    assert len(mine) == sum(float(row["episodes"]) for row in rows_of(whole / "metrics.csv"))
    for which in ("latest", "best"):
        mine, theirs = exported(folder, which), exported(whole, which)
        jax.tree.map(np.testing.assert_array_equal, mine.params, theirs.params)
        assert mine.manifest.update == theirs.manifest.update


def monitored(folder: Path) -> list[dict[str, str]]:
    """Return the rows of monitor.csv, whose first line is a comment."""
    with (folder / "monitor.csv").open(newline="", encoding="utf-8") as file:
        assert json.loads(file.readline().removeprefix("#"))["env_id"].endswith("market.csv")
        return list(csv.DictReader(file))


def test_every_episode_has_a_row(place: Place) -> None:
    """The means of metrics.csv are those of its rows."""
    episodes = monitored(place.folder / "whole")
    assert tuple(episodes[0]) == (
        *("r", "l", "t", "update", "equity", "fees", "max_drawdown", "ruined", "sharpe_per_bar", "trades", "turnover"),
    )
    for row in rows_of(place.folder / "whole" / "metrics.csv"):
        ended = [each for each in episodes if each["update"] == row["update"]]
        assert len(ended) == float(row["episodes"])
        for mine, theirs in {"r": "return", "l": "length", "equity": "equity", "trades": "trades"}.items():
            if ended:
                mean = np.mean([float(each[mine]) for each in ended])
                np.testing.assert_allclose(mean, float(row[f"episode_{theirs}"]), rtol=1e-5, atol=1e-7)


LATER = [pytest.param(part, marks=pytest.mark.nightly) for part in ("key", "opt_state", "env_state")]


@pytest.mark.parametrize("part", ["lanes", *LATER])
def test_a_part_that_is_not_resumed_is_noticed(place: Place, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part of the state that starts afresh after a stop shows in the rows to come."""
    real = run.first_state

    def first_state(job: Any, *arguments: Any) -> Any:
        done, state = real(job, *arguments)
        fresh = job.programs.training.start(jnp.int32(job.config.seed), job.programs.market)
        return done, state._replace(**{part: getattr(fresh, part)})

    monkeypatch.setattr(run, "first_state", first_state)
    folder = stop_and_resume(place, f"without-{part}", 3)
    found, wanted = (rows_of(each / "metrics.csv")[-1] for each in (folder, place.folder / "whole"))
    assert found["loss"] != wanted["loss"]


@pytest.mark.nightly
def test_best_and_latest_are_told_apart(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation falls, and ends in no number at all: the first is the best, and stays."""
    growth = iter([0.3, 0.2, float("nan"), float("nan")])
    monkeypatch.setattr(programs, "validate", lambda _, each: (each, dict.fromkeys(programs.VALIDATION, next(growth))))
    assert place.train("falling") == 0
    folder = place.folder / "falling"
    assert load_bundle(folder / "policy.npz").manifest.update == 2
    latest = exported(folder, "latest")
    assert latest.manifest.update == UPDATES
    best = load_bundle(folder / "policy.npz").params
    assert any(np.any(best[name] != latest.params[name]) for name in best)


def no_constant(name: str) -> None:
    raise AssertionError(f"{name} in JSON")


def test_the_backtest_of_a_run(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest.command([str(place.folder / "whole")]) == 0
    folder = place.folder / "whole" / "backtest" / "test"
    assert {path.name for path in folder.iterdir()} == {
        *("metrics.json", "provenance.json", "report.html", "plots"),
        *(f"{name}.csv" for name in ("equity", "baselines", "trades", "orders", "positions", "rewards")),
    }
    metrics = json.loads((folder / "metrics.json").read_text(), parse_constant=no_constant)
    rows = rows_of(folder / "equity.csv")
    assert len(rows) == metrics["calendar"]["bars"] + 1
    np.testing.assert_allclose(float(rows[-1]["equity"]), metrics["policy"]["final_equity"], rtol=1e-12)
    assert "Final equity" in capsys.readouterr().out
    page = (folder / "report.html").read_text()
    check_page(page)
    with pytest.raises(AssertionError):
        check_page(page.replace("</body>", '<img src="https://example.org/a.png"></body>'))


def check_page(page: str) -> None:
    """Assert that a page refers to nothing outside itself, and runs nothing but the scripts that it names by hash."""
    assert "default-src &#x27;none&#x27;; script-src &#x27;sha256-" in page
    page = re.sub(r"<script[ >].*?</script>", "", page, flags=re.DOTALL)
    assert "javascript:" not in page.lower()
    outside = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?\s*(?:https?:)?//[^\s"')>]*""", page)
    assert not outside, outside
    assert not re.findall(r"<(?:iframe|object|embed|base)\b", page)
    for reference in re.findall(r"""\s(?:src|href|xlink:href)\s*=\s*["']([^"']*)""", page):
        assert reference.startswith(("#", "data:")), reference


def test_a_backtest_of_nothing_but_holding_has_valid_json(place: Place, tmp_path: Path) -> None:
    """Figures that are not defined, such as the win rate without trades, are null."""
    bundle = load_bundle(place.folder / "whole" / "policy.npz")
    market = load_market(bundle.manifest)
    still = {name: np.zeros_like(array) for name, array in bundle.params.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eval_bridge.policy.GOLDEN_TOLERANCE", np.inf)
        policy = make_policy(bundle._replace(params=still))
    evaluate(policy, bundle, market, "test").write(tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=no_constant)
    figures = metrics["policy"]
    assert figures["fills"] == 0
    assert figures["hit_rate"] is None
    assert figures["sharpe"] is None
    assert {"hit_rate", "sharpe"} <= set(metrics["undefined"])
    assert metrics["honesty"]["verdict"] == "no evidence of skill: p = 1 (it never traded)"
    check_page((tmp_path / "report.html").read_text())


@pytest.mark.nightly
def test_ctrl_c_saves_and_exits_with_130(place: Place) -> None:
    """In a process of its own: SIGINT after the first line of progress; the checkpoint is there to go on from."""
    command = [sys.executable, "-u", "-m", "train.ppo", *place.arguments("interrupted", 100_000)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAXTRADE_")}
    environment |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"}  # compiles sooner
    environment["JAXTRADE_COMPILATION_CACHE"] = environment["JAXTRADE_TABLE_CACHE"] = "off"
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("update "):
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, (lines, out, err)
    assert "everything is saved" in out
    assert "Traceback" not in err
    folder = place.folder / "interrupted"
    rows = rows_of(folder / "metrics.csv")
    assert checkpoint.saved_updates(folder)[-1] == len(rows) >= 2
    assert not (folder / "policy.npz").exists()
