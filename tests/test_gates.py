"""The gates of `make test`, each shown failing once on a planted fault."""

import json
import shutil
import sys
import warnings
from pathlib import Path
from textwrap import indent

import jax
import jax.numpy as jnp
import pytest

from tests.helpers.planting import PACKAGES, ROOT, copy_house, plant, run_python, run_tool
from tests.helpers.source_limits import FILE_LINES, FUNCTION_LINES, complaints

FOLDERS = (*PACKAGES, "tests", "benchmarks", "examples")
FILES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))


@pytest.fixture
def house(tmp_path: Path) -> Path:
    return copy_house(tmp_path)


def test_files_and_functions_are_short() -> None:
    found = [f"{file.relative_to(ROOT)}: {each}" for file in FILES for each in complaints(file.read_text("utf-8"))]
    assert len(FILES) > 40
    assert not found, "\n".join(found)


def function(body_lines: int, docstring_lines: int = 0) -> str:
    text = ['    """Text.', *["    more"] * (docstring_lines - 2), '    """'] if docstring_lines else []
    return "\n".join(["@decorator", "@another", "def f(x):", *text, *["    x += 1"] * body_lines]) + "\n"


def nest(levels: int) -> str:
    return "\n".join(" " * depth + f"def f{depth}():" for depth in range(levels + 1)) + " pass\n"


def in_class(text: str) -> str:
    return "class C:\n" + indent(text, "    ")


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\n" * FILE_LINES,
        function(FUNCTION_LINES - 1),
        function(FUNCTION_LINES - 1, docstring_lines=20),
        in_class(function(FUNCTION_LINES - 1)),
        nest(2) * 2,
    ],
    ids=["file", "function", "function and docstring", "method", "nested"],
)
def test_sources_at_the_limits_pass(source: str) -> None:
    assert complaints(source) == []


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("x = 1\n" * (FILE_LINES + 1), "file of 300 lines"),
        (function(FUNCTION_LINES), "line 3: f has 40 lines"),
        (function(FUNCTION_LINES, docstring_lines=5), "line 3: f has 40 lines"),
        (in_class(function(FUNCTION_LINES).replace("def f", "async def f")), "line 4: f has 40 lines"),
        (nest(3), "line 4: f3 is nested 3 deep"),
        (in_class(nest(3)), "line 5: f3 is nested 3 deep"),
    ],
    ids=["file", "function", "function and docstring", "async method", "nested", "nested in a method"],
)
def test_planted_sources_are_caught(source: str, complaint: str) -> None:
    assert complaints(source) == [complaint]


def module(body: str) -> str:
    return f'"""A planted module."""\n\n\n{body}\n'


def counting(lines: list[str], arguments: str = "n: int") -> str:
    body = "\n".join(f"    {line}" for line in ["total = 0", *lines, "return total"])
    return module(f'def count({arguments}) -> int:\n    """Count."""\n{body}')


RUFF_FAULTS = {
    "D103": module("def bare(x: int) -> int:\n    return x"),
    "ANN001": module('def untyped(x) -> int:\n    """Return 1."""\n    return 1'),
    "C901": counting([f"if n > {i}:\n        total += n" for i in range(8)]),
    "PLR0913": counting(["total += 1"], arguments=", ".join(["*", *(f"a{i}: int" for i in range(8))])),
    "PLR0915": counting(["total += n"] * 31),
    "F401": '"""A planted module."""\n\nimport json\n',
    "T201": module('print("planted")'),
    "ERA001": module("# total = count(3)"),
    "NPY002": '"""A planted module."""\n\nimport numpy as np\n\nnoise = np.random.normal(size=3)\n',
}


def test_ruff_check_catches_planted_faults(house: Path) -> None:
    clean = run_tool(house, "ruff", "check", "--no-cache", ".")
    assert clean.returncode == 0, clean.stdout
    for code, source in RUFF_FAULTS.items():
        plant(house, f"jaxtrade/planted_{code.lower()}.py", source)
    faulty = run_tool(house, "ruff", "check", "--no-cache", "--output-format", "json", ".")
    found = [(Path(each["filename"]).stem, each["code"]) for each in json.loads(faulty.stdout)]
    assert faulty.returncode == 1
    assert sorted(found) == sorted((f"planted_{code.lower()}", code) for code in RUFF_FAULTS)


def test_ruff_format_catches_a_planted_fault(house: Path) -> None:
    assert run_tool(house, "ruff", "format", "--no-cache", "--check", ".").returncode == 0
    plant(house, "jaxtrade/planted.py", '"""A planted module."""\n\nnames = {\'a\':1}\n')
    faulty = run_tool(house, "ruff", "format", "--no-cache", "--check", ".")
    assert faulty.returncode == 1
    assert "jaxtrade/planted.py" in faulty.stdout
    assert "1 file would be reformatted" in faulty.stdout


MYPY_FAULTS = {
    "jaxtrade/rules/costs.py": ("def planted(x):\n    return x", "no-untyped-def"),
    "jaxtrade/market/scales.py": ('def planted() -> int:\n    return "1"', "return-value"),
    "eval_bridge/metrics/returns.py": ("def planted(x: list) -> None: ...", "type-arg"),
}


def test_mypy_catches_planted_faults(house: Path) -> None:
    if (ROOT / ".mypy_cache").is_dir():  # by content: what is the same need not be checked again
        shutil.copytree(ROOT / ".mypy_cache", house / ".mypy_cache")
    clean = run_tool(house, "mypy")
    assert clean.returncode == 0, clean.stdout
    for file, (source, _) in MYPY_FAULTS.items():
        plant(house, file, f"\n\n{source}\n")
    faulty = run_tool(house, "mypy")
    errors = [line for line in faulty.stdout.splitlines() if ": error:" in line]
    assert faulty.returncode == 1
    found = {line.split(":")[0]: line.rsplit("[", 1)[-1].rstrip("]") for line in errors}
    assert found == {file: code for file, (_, code) in MYPY_FAULTS.items()}, faulty.stdout


IMPORT_FAULTS = {  # where: (statement, the import that the tool names, the contract that breaks)
    "eval_bridge/layers.py": ("import jax", "eval_bridge.layers -> jax ", "never import JAX"),
    "jaxtrade/envs/stats.py": ("import train", "jaxtrade.envs.stats -> train ", "train -> eval_bridge -> jaxtrade"),
    "jaxtrade/rules/costs.py": ("import numpy", "jaxtrade.rules.costs -> numpy ", "the rules name no array library"),
}


@pytest.mark.parametrize("file", IMPORT_FAULTS)
def test_import_contracts_catch_a_planted_fault(house: Path, file: str) -> None:
    statement, edge, contract = IMPORT_FAULTS[file]
    clean = run_tool(house, "lint-imports")
    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert clean.stdout.count(" KEPT") == 3
    plant(house, file, f"\n{statement}\n")
    faulty = run_tool(house, "lint-imports")
    broken = [line for line in faulty.stdout.splitlines() if line.endswith(" BROKEN")]
    assert faulty.returncode == 1
    assert len(broken) == 1
    assert contract in broken[0]
    assert edge in faulty.stdout


def test_strict_promotion_is_on_in_every_test() -> None:
    mix = jax.jit(lambda x: x + jnp.ones(2, jnp.int32))
    with pytest.raises(ValueError, match="jax_numpy_dtype_promotion"):
        mix(jnp.ones(2, jnp.float32))
    with jax.numpy_dtype_promotion("standard"):
        assert mix(jnp.ones(2, jnp.float32)).dtype == jnp.float32


def test_rank_promotion_raises_in_every_test() -> None:
    spread = jax.jit(lambda x: x + jnp.ones((3, 2)))
    with pytest.raises(ValueError, match="rank_promotion"):
        spread(jnp.ones(2))
    with jax.numpy_rank_promotion("allow"):
        assert spread(jnp.ones(2)).shape == (3, 2)


def test_warnings_are_errors() -> None:
    with pytest.raises(UserWarning, match="planted"):
        warnings.warn("planted", stacklevel=1)


NEW_MODULES = "import sys; old = set(sys.modules); import {}; print(*sorted(set(sys.modules) - old))"
LIGHT = ("jaxtrade", "jaxtrade.rules", "jaxtrade.market.table", "eval_bridge.policy", "eval_bridge.backtester")


def top_modules_after(name: str) -> set[str]:
    """Return the top-level names that importing a module loads."""
    loaded = run_python(ROOT, "-c", NEW_MODULES.format(name))
    assert loaded.returncode == 0, loaded.stderr
    return {module.split(".")[0] for module in loaded.stdout.split()}


@pytest.mark.parametrize("name", LIGHT)
def test_these_modules_do_not_load_jax(name: str) -> None:
    loaded = top_modules_after(name)
    assert name.split(".")[0] in loaded
    assert not loaded & {"jax", "jaxlib", "flax", "optax", "gymnax", "orbax"}


def test_the_environment_loads_jax() -> None:
    assert {"jax", "gymnax"} <= top_modules_after("jaxtrade.envs.trading")


def test_the_command_line_module_loads_the_standard_library_only() -> None:
    loaded = top_modules_after("train.ppo")
    assert "train" in loaded
    assert loaded - {"train"} <= sys.stdlib_module_names
    assert not top_modules_after("train.cli") - {"train"} <= sys.stdlib_module_names


def import_effects(folder: Path, *packages: str) -> list[str]:
    result = run_python(folder, str(ROOT / "tests/helpers/import_effects.py"), *packages)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_importing_has_no_effects() -> None:
    assert import_effects(ROOT, *PACKAGES) == []


EFFECTS = {
    "sys.path": 'import sys\n\nsys.path.append("planted")\n',
    "environment": 'import os\n\nos.environ["PLANTED"] = "1"\n',
    "jax configuration": 'import jax\n\njax.config.update("jax_debug_nans", True)\n',
    "warning filters": 'import warnings\n\nwarnings.simplefilter("ignore")\n',
    "arrays": "import jax.numpy as jnp\n\nTABLE = jnp.arange(3)\n",
    "output": 'print("planted")\n',
}


def test_effects_of_importing_are_caught(tmp_path: Path) -> None:
    plant(tmp_path, "planted/__init__.py", "")
    for number, source in enumerate(EFFECTS.values()):
        plant(tmp_path, f"planted/part_{number}.py", source)
    assert import_effects(tmp_path, "planted") == list(EFFECTS)
