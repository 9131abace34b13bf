"""What the default run holds in memory, and what a rollout stores: `python -m benchmarks.memory [--quick]`.

The compiler's estimate, on which `train.ppo` refuses a run, stands beside what a process really grew by.

The peer of a stored trajectory is the usual arrangement, which keeps an observation, or a window of them, for every
step of every account. Both are counted from the shapes, since the windows would not fit. The rollout's program is
searched for any array with a window axis.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.harness import ROOT, AtMost, Report, parse_options, publish, summary
from jaxtrade.config import EnvConfig
from jaxtrade.envs.synthetic import synthetic_table
from jaxtrade.envs.trading import EnvParams, make_env_params
from train.config import TrainConfig
from train.rollout import Rollout, collect
from train.state import Setup, TrainState, init_state, make_setup

WINDOW, FEATURES, ENVS, LENGTH = 260, 16, 4096, 128
IMPORTS = "import train.run, train.export, train.programs, jax; jax.devices()"
GROWTH = """
import json, resource, sys
from pathlib import Path
import jax, jax.numpy as jnp
from jaxtrade.market.loading import load_table
from train.config import TrainConfig
from train.programs import make_programs, setup_for, start_state

config = TrainConfig(num_envs=int(sys.argv[1]))
table = load_table(config.data, config.market, config.env.window)
setup = setup_for(config, table)
programs = make_programs(setup, table)
before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
state = start_state(setup, programs)
for _ in range(2):
    state, figures = programs.training.chunk(state, programs.market, jnp.int32(1))
    jax.block_until_ready(programs.evaluate(state.params, programs.validation))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"grown": after - before, "estimate": programs.need.needed}))
"""  # the memory before is what the compiler left; all that comes after is the programs'
GB = 1e9


def rollout_shapes() -> tuple[Setup, TrainState, EnvParams]:
    """Return the setup of a rollout whose network looks back over the whole window, and the shapes of what it reads."""
    network = {"kind": "multiscale_lstm", "branches": (1, 5, 20, 60, WINDOW)}
    ppo = {"rollout_length": LENGTH, "episode_bars": 2 * LENGTH}
    config = TrainConfig.model_validate(
        {"num_envs": ENVS, "env": EnvConfig(window=WINDOW), "network": network, "ppo": ppo}
    )
    table = synthetic_table(window=WINDOW, bars=3000)
    setup = make_setup(config, table.span("train"), 1)
    market = jax.eval_shape(lambda: make_env_params(table, table.span("train"), config.env))
    bars, symbols, _ = market.features.shape
    market = market.replace(features=jax.ShapeDtypeStruct((bars, symbols, FEATURES), market.features.dtype))
    return setup, jax.eval_shape(lambda each: init_state(setup, each), market), market


def window_arrays(function: Any, *arguments: Any) -> list[str]:
    """Return the arrays of two or more axes, in a program and all that it calls, that have an axis of one window."""
    jaxpr = jax.make_jaxpr(function)(*arguments)
    found = [variable.aval for each in _jaxprs(jaxpr.jaxpr) for equation in each.eqns for variable in equation.outvars]
    shapes = [getattr(aval, "shape", ()) for aval in found]
    return sorted({str(shape) for shape in shapes if len(shape) > 1 and WINDOW in shape})


def _jaxprs(jaxpr: Any) -> Iterator[Any]:
    """Yield a program and every program inside it."""
    yield jaxpr
    for equation in jaxpr.eqns:
        for value in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda each: hasattr(each, "eqns") or hasattr(each, "jaxpr")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from _jaxprs(inner)


def stored_bytes() -> dict[str, int]:
    """Return the bytes of one rollout as it is stored, and as it would be with observations or windows in it."""
    setup, state, market = rollout_shapes()
    rollout: Rollout = jax.eval_shape(lambda *each: collect(setup, *each), state, market, jax.random.key(0))[1]
    total = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(rollout))
    row = jnp.dtype(jnp.float32).itemsize * FEATURES * ENVS * LENGTH
    shared = rollout.rows.size * rollout.rows.dtype.itemsize
    return {"as it is": total, "with observations": total - shared + row, "with windows": total - shared + row * WINDOW}


def peak(*arguments: str, folder: Path) -> tuple[int, str]:
    """Run this Python with some arguments. Return the most memory that it held at once, in bytes, and what it said."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("JAXTRADE_")}
    environment |= {"JAXTRADE_COMPILATION_CACHE": "off", "PYTHONPATH": str(ROOT)}  # compiling counts
    command = [sys.executable, *arguments]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{arguments} ended with code {process.returncode}")
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024), said


def run(quick: bool) -> Report:
    """Measure the default run, and count what a rollout stores."""
    config = TrainConfig()
    updates = 2 if quick else 12  # with validations, a checkpoint and the export
    steps = ("--total-timesteps", str(updates * config.samples))
    with tempfile.TemporaryDirectory() as folder:
        empty, _ = peak("-c", IMPORTS, folder=Path(folder))
        most, _ = peak("-m", "train.ppo", "--runs-dir", folder, "--name", "run", *steps, folder=Path(folder))
        counts = (config.num_envs,) if quick else (config.num_envs, 4 * config.num_envs)
        grown = {count: json.loads(peak("-c", GROWTH, str(count), folder=Path(folder))[1]) for count in counts}
    stored = stored_bytes()
    setup, state, market = rollout_shapes()
    windows = window_arrays(lambda *each: collect(setup, *each), state, market, jax.random.key(0))
    sizes = {"default run, peak": most, "imports alone": empty}
    for count, found in grown.items():
        sizes |= {f"{count} accounts, {name}": size for name, size in found.items()}
    sizes |= {f"one rollout, {name}": size for name, size in stored.items()}
    ratios = {
        "gigabytes of the default run": most / GB,
        **{f"{count} accounts, grown / estimate": found["grown"] / found["estimate"] for count, found in grown.items()},
        "arrays with a window axis": float(len(windows)),
        "rollout with observations / as it is": stored["with observations"] / stored["as it is"],
        "rollout with windows / as it is": stored["with windows"] / stored["as it is"],
    }
    targets = {"gigabytes of the default run": AtMost(2), "arrays with a window axis": AtMost(0)}
    about = {"default run": f"{config.num_envs} x {config.ppo.rollout_length}, {updates} updates"}
    about |= {"rollout": f"{ENVS} x {LENGTH} over {WINDOW} x {FEATURES} windows", "found": windows or "none"}
    rates = {name: summary([size / 1e6]) for name, size in sizes.items()}
    return Report("memory", "megabytes", about, rates, ratios, targets)


def main() -> None:
    """Measure and tell."""
    quick = parse_options("What the default run holds in memory, and what a rollout stores.").quick
    publish(run(quick), quick)


if __name__ == "__main__":
    main()
