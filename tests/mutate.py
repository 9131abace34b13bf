"""Plant every fault of `tests.mutations` in a copy of the packages, and name the first test that notices.

`python -m tests.mutate [--only NAME ...] [--list]` prints a table; it exits with 1 if a fault survives, if its text is
no longer found exactly once, or if the copy does not pass without a fault. Each fault has a process of its own, forked
from one that has imported the libraries; whatever of ours is imported comes from the copy, or the run fails.
"""

import argparse
import contextlib
import io
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.planting import PACKAGES, ROOT, copy_house
from tests.mutations import MUTATIONS, Mutation, mutated

JOBS = os.cpu_count() or 2
SOUND = "no fault"
PATIENCE = 200  # seconds for a fault
LIBRARIES = (
    "pytest",
    "pandas",
    "pydantic",
    "jax",
    "flax.linen",
    "optax",
    "chex",
    "seaborn",
    "scipy.stats",
    "arch.bootstrap",
)
FLAGS = ("-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
PLAIN = "--noconftest"  # NumPy only: no fixtures
BY_HAND = "tests/rules/test_hand_ledgers.py::test_the_backtester_keeps_the_ledger"
DECIMAL = ("orders, lots, limits", "continuous, by symbol, short", "weights, triple, short", "proportional")
SURVIVORS = "tests/rules/test_survivors.py"
BOOKS = ("faults", "trades", "orders", "positions")
METRICS = ("by_hand", "account", "degenerate", "tables", "peers")
DATA_ROOM = ("tests/market/test_events.py", "tests/market/test_leaks.py")
MARKET = ("tests/market/test_table.py", "tests/market/test_clock_kinds.py", *DATA_ROOM, BY_HAND)
SPLIT_ENDS = "tests/market/test_splits_ends.py"
REFEREE = ("referee", "batched", "certificate", "bridge", "leaks")
RELAY = ("relay", "relay_refused", "relay_command")
LOOP = ("watch", "iteration", "loop", "summary")
PROGRAMME = "tests/train/test_"
PAGE = ("page_tables", "page_iterations", "page_charts", "benchmark_page")


def bridge(*names: str) -> tuple[str, ...]:
    """Return how the tests of the bridge by these names are run."""
    return (PLAIN, *(f"tests/bridge/test_{name}.py" for name in names))


TESTS: dict[str, tuple[str, ...]] = {  # of the mutated file, the tests that run, in this order
    "jaxtrade/rules/rewards.py": (PLAIN, "tests/rules/test_rewards.py", "tests/rules/test_reward_promises.py"),
    "jaxtrade/rules": (
        PLAIN,
        "tests/rules/test_action_table.py",
        BY_HAND,
        f"{SURVIVORS}::test_all_in_takes_what_the_leverage_limit_allows",
        f"{SURVIVORS}::test_all_in_closes_the_other_side_however_large",
        f"{SURVIVORS}::test_half_a_lot_short_of_a_million_is_a_lot_short",
        f"{SURVIVORS}::test_memory_starts_where_the_reward_says",
        f"{SURVIVORS}::test_lots_are_valued_at_their_price_whatever_rounding_left",
        *(f"tests/rules/test_decimal_ledger.py::test_every_step_agrees[{name}]" for name in DECIMAL),
        "tests/rules/test_reward_promises.py::test_the_rules_pay_the_reward_of_the_record",
        "tests/rules/test_identities.py",
    ),
    "jaxtrade/market/features": (PLAIN, "tests/market/test_intervals.py", "tests/market/test_features.py"),
    "jaxtrade/market/sources": (PLAIN, *(f"tests/market/test_sources_{name}.py" for name in ("bad", "odd", "same"))),
    "jaxtrade/market/checks": (PLAIN, "tests/market/test_bad_bars.py", "tests/market/test_gate_checks.py"),
    "jaxtrade/market/repairs.py": (PLAIN, "tests/market/test_gate_repairs.py", "tests/market/test_gate_checks.py"),
    "jaxtrade/market/windows.py": (PLAIN, "tests/market/test_windows_places.py", "tests/market/test_windows.py"),
    "jaxtrade/market/leaks.py": (PLAIN, "tests/market/test_leaks.py", SPLIT_ENDS),
    "jaxtrade/market/scales.py": (PLAIN, "tests/market/test_scales.py"),
    "jaxtrade/market/splits.py": (PLAIN, "tests/market/test_splits.py", SPLIT_ENDS),
    "jaxtrade/market/events.py": (PLAIN, "tests/market/test_events.py"),
    "jaxtrade/market/table.py": (PLAIN, *MARKET, "tests/market/test_windows.py"),
    "jaxtrade/market": (PLAIN, *MARKET),
    "jaxtrade/assemble.py": (PLAIN, BY_HAND),
    "jaxtrade/envs/stats.py": ("tests/envs/test_episode_stats.py::test_figures_equal_those_of_the_recorded_steps",),
    "jaxtrade/envs": (SURVIVORS,),
    **{
        f"train/{name}.py": (f"tests/train/test_{name}.py",)
        for name in ("gae", "losses", "distributions", "schedules", "episodes", "health", "checkpoint", "loggers")
    },
    "eval_bridge/books": bridge("ledger", *(f"books_{name}" for name in BOOKS)),
    "eval_bridge/backtester.py": bridge("engine", "ledger", "books_faults"),
    "eval_bridge/delay.py": bridge("engine"),
    "eval_bridge/metrics": bridge(*(f"metrics_{name}" for name in METRICS)),
    "eval_bridge/honesty/verdict.py": bridge("honesty_verdict"),
    "eval_bridge/honesty": bridge("honesty_sharpe", "honesty_shift", "honesty_baselines", "honesty_bootstrap"),
    "jaxtrade/trials.py": (PLAIN, "tests/test_trial_results.py", "tests/test_trials_programme.py"),
    "eval_bridge/policy.py": ("tests/train/test_policy_odds.py",),
    **{f"eval_bridge/{name}.py": bridge(name) for name in ("stress", "stochastic", "compare")},
    "eval_bridge/ensemble.py": bridge("ensemble", "relay_command"),
    **{f"eval_bridge/{name}.py": bridge(*RELAY) for name in ("relay", "turns", "market", "stitched")},
    "eval_bridge/rewards.py": bridge("reward_view"),
    "eval_bridge/stateful_env.py": bridge("stateful_env"),
    "eval_bridge/inference": bridge("infer", "recommend"),
    "eval_bridge/api.py": bridge("infer", "recommend", "policy_api"),
    "eval_bridge/leaks.py": ("tests/train/test_referee.py",),
    "eval_bridge/report": bridge("report_page"),
    "eval_bridge": bridge("evaluation", "backtest_command", "files"),
    "train/normalize.py": ("tests/train/test_rollout.py::test_the_reward_scale_is_that_of_all_discounted_returns",),
    "train/manifest.py": ("tests/train/test_checkpoint_damage.py",),
    "train/saved.py": ("tests/train/test_checkpoint.py",),
    "train/callbacks": ("tests/train/test_callbacks.py",),
    **{f"train/programme/{name}.py": (PLAIN, f"tests/train/test_{name}.py") for name in ("phases", "search")},
    "train/programme/candidates.py": (f"{PROGRAMME}contest.py", f"{PROGRAMME}programme_parts.py"),
    "train/programme/spread.py": (f"{PROGRAMME}candidates_split.py",),
    "train/programme/fleet.py": (f"{PROGRAMME}candidates.py",),
    **{f"train/programme/{name}.py": (f"{PROGRAMME}programme_config.py",) for name in ("config", "open")},
    "train/programme/ledger.py": (f"{PROGRAMME}programme_ledger.py", f"{PROGRAMME}programme_run.py"),
    **{
        f"train/programme/{name}.py": (f"{PROGRAMME}programme_parts.py", f"{PROGRAMME}programme_run.py")
        for name in LOOP
    },
    "train/programme/intervals.py": (PLAIN, "tests/train/test_programme_intervals.py"),
    **{f"train/programme/{name}.py": (PLAIN, "tests/train/test_programme_page.py") for name in PAGE},
    **{f"train/{name}.py": (PLAIN, "tests/train/test_train_compare.py") for name in ("compare", "compared")},
    **{f"train/{name}.py": ("tests/train/test_referee.py",) for name in REFEREE},
    "train": (SURVIVORS,),
}


class Verdict(NamedTuple):
    """What became of a planted fault; `killer` is the test that failed, empty where the fault survives."""

    name: str
    killer: str
    complaint: str
    seconds: float


class Witness:
    """A plugin of pytest that remembers the first failure of a test, and whatever else went wrong."""

    def __init__(self, house: Path) -> None:
        self.house, self.killer, self.trouble, self.complaint = house, "", "", ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the first test that fails."""
        if report.failed and not self.killer:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.killer, self.complaint = report.nodeid, str(crash.message if crash else report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be imported is no test that fails."""
        if report.failed:
            self.trouble, self.complaint = f"cannot collect {report.nodeid}", str(report.longrepr)

    def pytest_sessionfinish(self) -> None:
        """What was tested must have come from the copy."""
        ours = [module for name, module in sys.modules.items() if is_ours(name)]
        files = [Path(file) for module in ours if (file := getattr(module, "__file__", None))]
        if strangers := [str(file) for file in files if not file.is_relative_to(self.house)]:
            self.trouble, self.complaint = "imported from elsewhere", " ".join(strangers)
        if not any(file.is_relative_to(self.house / package) for file in files for package in PACKAGES):
            self.trouble = self.trouble or "nothing of ours was imported"


def main(arguments: Sequence[str] | None = None) -> int:
    """Plant, test, print; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAME", nargs="+", choices=[each.name for each in MUTATIONS])
    parser.add_argument("--list", action="store_true", help="print the names and leave")
    options = parser.parse_args(arguments)
    chosen = [each for each in MUTATIONS if not options.only or each.name in options.only]
    if options.list:
        say(*(f"{each.name} | {each.file} | {each.why}" for each in chosen))
        return 0
    if lost := [f"does not apply any more: {each.name} | {each.file}" for each in chosen if not mutated(each)]:
        say(*lost)
        return 1
    start, failed = time.monotonic(), 0
    for verdict in verdicts(chosen):
        say(f"{verdict.name} | {verdict.killer or 'SURVIVES'} | {verdict.seconds:.1f} | {verdict.complaint}")
        failed += "::" not in verdict.killer or verdict.name == SOUND
    say(f"{len(chosen)} faults, {failed} not killed, {time.monotonic() - start:.0f} s")
    return 1 if failed else 0


def say(*lines: str) -> None:
    """Print lines at once."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def verdicts(chosen: list[Mutation]) -> Iterator[Verdict]:
    """Yield what fails in the copy without a fault; if nothing does, what becomes of every fault."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LIBRARIES))
    with tempfile.TemporaryDirectory() as folder, context.Pool(JOBS, maxtasksperchild=1) as pool:
        sound = copy_house(Path(folder).resolve())
        for more in ("tests", "docs", "configs"):
            shutil.copytree(ROOT / more, sound / more, ignore=shutil.ignore_patterns("__pycache__"))
        if broken := [run for run in pool.imap(partial(examine, sound), {*map(killers_of, chosen)}) if run[0]]:
            yield from (Verdict(SOUND, *run) for run in broken)
            return
        runs = pool.imap(partial(judge, sound), chosen)
        yield from (Verdict(each.name, *run) for each, run in zip(chosen, runs, strict=True))


def killers_of(mutation: Mutation) -> tuple[str, ...]:
    """Return the tests for the file that a mutation changes."""
    return next(tests for start, tests in TESTS.items() if mutation.file.startswith(start))


def judge(sound: Path, mutation: Mutation) -> tuple[str, str, float]:
    """Plant one fault in a copy of the sound copy, and test it."""
    with tempfile.TemporaryDirectory() as folder:
        house = Path(shutil.copytree(sound, Path(folder).resolve() / "house"))  # with what is compiled already
        path = house / mutation.file
        path.write_text(mutated(mutation, house), "utf-8")
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            compiled.unlink()
        return examine(house, killers_of(mutation))


def examine(house: Path, tests: tuple[str, ...]) -> tuple[str, str, float]:
    """Test a house up to the first failure; return killer, complaint, seconds. The process is of no more use then."""
    start, witness = time.monotonic(), Witness(house)
    move_into(house)
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail(f"takes longer than {PATIENCE} s"))
    signal.alarm(PATIENCE)
    with contextlib.redirect_stdout(io.StringIO()):
        status = pytest.main([*FLAGS, *tests], plugins=[witness])
    signal.alarm(0)
    killer = witness.trouble or witness.killer or (f"pytest ends with {status!r}" if status else "")
    return killer, " ".join(witness.complaint.split())[:200], time.monotonic() - start


def move_into(house: Path) -> None:
    """Import ours from a house and from nowhere else."""
    elsewhere = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
    os.chdir(house)
    os.environ["PYTHONPATH"] = str(house)
    sys.path[:] = [str(house), *elsewhere]
    for name in [name for name in sys.modules if is_ours(name)]:
        del sys.modules[name]


def is_ours(name: str) -> bool:
    """Tell whether a module is one of ours by its name."""
    return name.partition(".")[0] in (*PACKAGES, "tests")


if __name__ == "__main__":
    sys.exit(main())
