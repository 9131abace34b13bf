"""The bridge in an environment that has every runtime dependency but JAX and what is built on it."""

import json
import os
import re
import subprocess
import tomllib
import venv
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from eval_bridge import Policy
from tests.helpers.inference import make_place
from tests.helpers.planting import ROOT

FORBIDDEN = ("jax", "jaxlib", "flax", "optax", "orbax", "gymnax", "chex", "flashbax")
FAMILY = re.compile(r"(jax|jaxlib|flax|optax|orbax.*|gymnax|chex|flashbax)$")
OURS = ("jaxtrade", "eval_bridge")
DAY = "2021-02-10"


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def runtime() -> dict[str, metadata.Distribution]:
    """Return what our dependencies and theirs are made of, the family of JAX apart."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [Requirement(line).name for line in project["dependencies"]]
    found: dict[str, metadata.Distribution] = {}
    while waiting:
        name = plain(waiting.pop())
        if name in found or FAMILY.match(name):
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            assert name not in {plain(Requirement(line).name) for line in project["dependencies"]}, name
            continue
        for line in found[name].requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment without JAX."""
    home = tmp_path_factory.mktemp("environment") / "venv"
    venv.EnvBuilder(symlinks=True, with_pip=False).create(home)
    (site,) = home.glob("lib/python*/site-packages")
    for distribution in runtime().values():
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            source, target = Path(str(distribution.locate_file(top))), site / top
            if not target.exists() and source.exists():
                target.symlink_to(source)
    for package in OURS:
        (site / package).symlink_to(ROOT / package)
    return home / "bin" / "python"


def run(python: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python isolated from this one: no variables, no user's packages, nothing from the folder."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {"JAXTRADE_TABLE_CACHE": "off", "MPLCONFIGDIR": str(folder / "matplotlib")}
    return subprocess.run(
        [str(python), "-I", *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


CODE = f"""
from importlib.util import find_spec
there = [name for name in {(*FORBIDDEN, "train", "pytest")} if find_spec(name)]
assert not there, there
needed = "numpy", "pandas", "scipy", "arch", "matplotlib", "plotly", "pyarrow", "pydantic", "talib", "yaml"
missing = [name for name in needed if not find_spec(name)]
assert not missing, missing
import eval_bridge
try:
    import jax
except ImportError as error:
    print(error)
try:
    eval_bridge.StatefulTradingEnv
except ValueError as error:
    print(error)
"""


def test_jax_is_not_there(python: Path, tmp_path: Path) -> None:
    """Else the other test would prove nothing; here it is. Gymnasium, which nobody depends on, is named."""
    done = run(python, tmp_path, "-c", CODE)
    assert done.returncode == 0, done.stderr
    no_jax, no_gymnasium = done.stdout.splitlines()
    assert no_jax == "No module named 'jax'"
    assert no_gymnasium == "StatefulTradingEnv: gymnasium is not installed. pip install gymnasium"
    assert find_spec("jax")


def test_a_backtest_and_an_inference(python: Path, tmp_path: Path) -> None:
    place = make_place(tmp_path)
    done = run(python, tmp_path, "-m", "eval_bridge.backtest", place.bundle, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["policy"]["final_equity"] > 0
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000
    asked = run(python, tmp_path, "-m", "eval_bridge.infer", place.bundle, "--date", DAY, "--format", "json")
    assert (asked.returncode, asked.stderr) == (0, ""), asked.stderr
    assert asked.stdout == Policy.load(place.bundle).infer_date(DAY).to_json()
