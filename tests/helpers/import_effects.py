"""What importing packages does beside defining names: `python -m tests.helpers.import_effects PACKAGE ...`.

Prints a JSON list of what changed. The libraries are imported before the first look, since some of them print, set
filters or make arrays themselves.
"""

import contextlib
import importlib
import io
import json
import os
import pkgutil
import sys
import warnings
from typing import Any

LIBRARIES = (
    *("chex", "flax", "gymnax", "matplotlib", "matplotlib.pyplot", "optax", "orbax.checkpoint", "pandas", "pyarrow"),
    *("pydantic", "rich", "talib", "tensorboardX", "yaml"),
)


def state_of_the_process() -> dict[str, Any]:
    """Return what an import must leave as it is."""
    import jax

    return {
        "sys.path": list(sys.path),
        "environment": dict(os.environ),
        "working directory": os.getcwd(),  # noqa: PTH109
        "jax configuration": dict(jax.config.values),
        "warning filters": list(warnings.filters),
        "arrays": len(jax.live_arrays()),
    }


def import_everything(package: str) -> None:
    """Import a package and all modules below it."""
    top = importlib.import_module(package)
    for module in pkgutil.walk_packages(top.__path__, package + "."):
        importlib.import_module(module.name)


def effects(packages: list[str]) -> list[str]:
    """Return the names of what importing the packages changed."""
    for library in LIBRARIES:
        importlib.import_module(library)
    before, printed = state_of_the_process(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        for package in packages:
            import_everything(package)
    after = state_of_the_process()
    changed = [name for name, value in before.items() if after[name] != value]
    return changed + (["output"] if printed.getvalue() else [])


if __name__ == "__main__":
    print(json.dumps(effects(sys.argv[1:])))  # noqa: T201
