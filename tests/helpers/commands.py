"""The commands run inside this process, as from a shell in an empty folder."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import eval_bridge.backtest
import eval_bridge.compare
import train.export
import train.ppo

MAINS = {
    "ppo": train.ppo.main,
    "export": train.export.main,
    "backtest": eval_bridge.backtest.main,
    "compare": eval_bridge.compare.main,
}


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Runner = Callable[..., Ran]


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file and folder below a folder."""
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in paths}


def never(*arguments: Any) -> bool:
    raise AssertionError("training began")


def make_runner(patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], trains: bool = False) -> Runner:
    """Return `run(program, *arguments)`; no variable of ours is set when it begins, and nothing trains if not asked."""

    def run(program: str, *arguments: str) -> Ran:
        patch.setattr(sys, "argv", [program, *arguments])
        capture.readouterr()
        try:
            code = MAINS[program]()
        except SystemExit as stop:
            code = stop.code
        return Ran(code, *capture.readouterr())

    if not trains:
        patch.setattr("train.run.train", never)
    for variable in ("DATA", "NUM_ENVS", "RUNS_DIR", "SEED"):
        patch.delenv(f"JAXTRADE_{variable}", raising=False)
    return run


def assert_refused(ran: Ran, pieces: str) -> None:
    """Exit code 2 and one line `error: where: what. remedy` on stderr that holds the pieces, split by |."""
    assert ran.code == 2, ran
    assert ran.out == ""
    assert ran.err.startswith("error: "), ran.err
    assert ran.err.endswith("\n")
    assert len(ran.err.splitlines()) == 1, ran.err
    assert "Traceback" not in ran.err
    for piece in pieces.split("|"):
        assert piece in ran.err, f"{piece!r} is not in {ran.err!r}"


def refuse(run: Runner, folder: Path, pieces: str, program: str, *arguments: str) -> None:
    """Run a command that must be refused without writing anything into the folder."""
    before = contents(folder)
    assert_refused(run(program, *arguments), pieces)
    assert contents(folder) == before, "a refused command wrote something"
