"""The wheel: what it holds, and that it works where there is no checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.planting import PACKAGES, ROOT

SCRIPTS = ("jaxtrade-train", "jaxtrade-export", "jaxtrade-backtest")
TINY = ("--config", "smoke", "--total-timesteps", "40000", "--no-tensorboard")


class Installation(NamedTuple):
    """A virtual environment that holds the wheel; the libraries are this environment's, our checkout is not there."""

    root: Path
    binaries: Path

    def run(self, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's programs in a folder."""
        ours = ("PYTHONPATH", "PYTHONSAFEPATH", "JAXTRADE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environment["JAXTRADE_COMPILATION_CACHE"] = environment["JAXTRADE_TABLE_CACHE"] = "off"
        program = [str(self.binaries / command[0]), *command[1:]]
        return subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    root = tmp_path_factory.mktemp("venv")
    venv.create(root, with_pip=False, symlinks=os.name != "nt")
    scheme = {"base": str(root), "platbase": str(root)}
    binaries = Path(sysconfig.get_path("scripts", "venv", scheme))
    libraries = Path(sysconfig.get_path("purelib", "venv", scheme))
    pip = [sys.executable, "-m", "pip", "--python", str(binaries / "python"), "--disable-pip-version-check"]
    done = subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    # A .pth file adds the libraries behind the wheel, and does not read the .pth of an editable install among them.
    outside = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    (libraries / "libraries.pth").write_text("\n".join(outside) + "\n")
    return Installation(root, binaries)


def wanted_files() -> set[str]:
    """Return what the wheel must hold beside its own metadata."""
    code = {file.relative_to(ROOT).as_posix() for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    presets = {f"train/configs/{file.name}" for file in (ROOT / "configs").glob("*.yaml")}
    return code | presets | {f"{package}/py.typed" for package in PACKAGES}


def wheel_complaints(names: set[str]) -> list[str]:
    """Return what a wheel with these files lacks or has too much."""
    found = [f"missing {name}" for name in sorted(wanted_files() - names)]
    tops = {name.split("/")[0] for name in names}
    metadata = {top for top in tops if top.endswith(".dist-info")}
    found += [f"foreign {top}" for top in sorted(tops - metadata - set(PACKAGES))]
    found += [] if any(name.endswith(".dist-info/licenses/LICENSE") for name in names) else ["missing LICENSE"]
    found += [f"litter {name}" for name in sorted(names) if "__pycache__" in name]
    return found


def test_wheel_is_complete(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert wheel_complaints(set(names)) == []
        for preset in (ROOT / "configs").glob("*.yaml"):
            assert archive.read(f"train/configs/{preset.name}") == preset.read_bytes()
        points = archive.read(next(name for name in names if name.endswith("/entry_points.txt"))).decode()
        assert all(f"{script} = " in points for script in SCRIPTS)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda names: names - {"jaxtrade/py.typed"}, "missing jaxtrade/py.typed"),
        (lambda names: names - {"train/configs/smoke.yaml"}, "missing train/configs/smoke.yaml"),
        (lambda names: names - {"eval_bridge/policy.py"}, "missing eval_bridge/policy.py"),
        (lambda names: {name for name in names if not name.endswith("LICENSE")}, "missing LICENSE"),
        (lambda names: names | {"tests/conftest.py"}, "foreign tests"),
        (lambda names: names | {"train/__pycache__/ppo.pyc"}, "litter train/__pycache__/ppo.pyc"),
    ],
)
def test_a_faulty_wheel_is_caught(change: Callable[[set[str]], set[str]], complaint: str) -> None:
    names = wanted_files() | {"jaxtrade-1.dist-info/RECORD", "jaxtrade-1.dist-info/licenses/LICENSE"}
    assert wheel_complaints(names) == []
    assert wheel_complaints(change(names)) == [complaint]


def empty(folder: Path) -> tuple[str, ...]:
    """An empty folder: nothing special is needed."""
    return ("python", "-m", "train.ppo")


def beside_data(folder: Path) -> tuple[str, ...]:
    """The user keeps data in folders of our packages' names; they hold no __init__.py."""
    for package in PACKAGES:
        (folder / package).mkdir()
        (folder / package / "prices.csv").write_text("date,open,close\n")
    return ("python", "-m", "train.ppo")


def beside_own_module(folder: Path) -> tuple[str, ...]:
    """The user has a train.py; `-P` keeps the folder off the path."""
    (folder / "train.py").write_text("raise RuntimeError('the wrong train')\n")
    return ("python", "-P", "-m", "train.ppo")


def script_beside_own_module(folder: Path) -> tuple[str, ...]:
    """A console script does not look into the folder at all."""
    beside_own_module(folder)
    return ("jaxtrade-train",)


Place = Callable[[Path], tuple[str, ...]]
PLACES = (empty, beside_data, beside_own_module, script_beside_own_module)


def test_modules_come_from_the_wheel(installed: Installation, tmp_path: Path) -> None:
    code = "import jaxtrade, train, eval_bridge; print(jaxtrade.__file__, train.__file__, eval_bridge.__file__)"
    shown = installed.run(tmp_path, "python", "-c", code)
    assert shown.returncode == 0, shown.stderr
    assert all(Path(file).is_relative_to(installed.root) for file in shown.stdout.split()), shown.stdout


@pytest.mark.parametrize("place", PLACES)
def test_help_and_presets_work_anywhere(installed: Installation, tmp_path: Path, place: Place) -> None:
    command = place(tmp_path)
    shown = installed.run(tmp_path, *command, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "--num-envs" in shown.stdout
    found = installed.run(tmp_path, *command, "--config", "smoke", "--num-envs", "12")  # no multiple of its 8 lanes
    assert found.returncode == 2
    assert found.stderr.startswith("error: ")
    assert "num_envs 12 is not a multiple of ppo.lanes 8" in found.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_console_scripts_start(installed: Installation, tmp_path: Path, script: str) -> None:
    shown = installed.run(tmp_path, script, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "usage" in shown.stdout


def test_the_users_own_train_module_hides_ours_without_the_flag(installed: Installation, tmp_path: Path) -> None:
    beside_own_module(tmp_path)
    hidden = installed.run(tmp_path, "python", "-m", "train.ppo", "--help")
    assert hidden.returncode != 0
    assert "the wrong train" in hidden.stderr


@pytest.mark.nightly
@pytest.mark.parametrize("place", PLACES)
def test_a_run_from_the_wheel(installed: Installation, tmp_path: Path, place: Place) -> None:
    train = place(tmp_path)
    if train[0] == "python":
        export, backtest = (*train[:-1], "train.export"), (*train[:-1], "eval_bridge.backtest")
    else:
        export, backtest = ("jaxtrade-export",), ("jaxtrade-backtest",)
    for command in ((*train, *TINY, "--name", "one"), (*export, "runs/one"), (*backtest, "runs/one")):
        done = installed.run(tmp_path, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    run = tmp_path / "runs" / "one"
    assert (run / "policy.npz").exists()
    assert "<html" in (run / "backtest/test/report.html").read_text()
