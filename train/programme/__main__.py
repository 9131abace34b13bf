"""Run a training programme: `python -m train.programme --config gold_programme --data FILE`.

The story: configuration -> bars -> windows -> K candidates in one program, iteration after iteration -> the winners'
policies -> one backtest over the bars that none of them saw -> programme.html.
"""

import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

BENCHMARK = "--benchmark"


def main() -> int:
    """Run the command; the entry point of `jaxtrade-programme`."""
    from jaxtrade.errors import STOPPED, run_command

    code = run_command(partial(command, spread=True))
    if code == STOPPED:  # the interpreter would wait for a computation under way, and take seconds to clear up
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def command(argv: list[str], spread: bool = False) -> int:
    """Run a programme, or all that a benchmark compares; `spread` over the cores, in a process of its own."""
    began = time.perf_counter()
    from train.cli import parse_arguments
    from train.programme.config import ProgrammeConfig
    from train.signals import sigterm_interrupts

    asked = [each for each in argv if each in (BENCHMARK, f"{BENCHMARK}=plain")]
    config, resume = parse_arguments([each for each in argv if each not in asked], ProgrammeConfig)
    if spread:
        from train.programme.spread import use_cores

        use_cores(config.candidates)
    with sigterm_interrupts():
        if asked:
            from train.programme.benchmark import run_benchmark

            return run_benchmark(config, resume, each_alone=BENCHMARK in asked)
        return run_one(config, resume, began)


def run_one(config: Any, resume: Path | None, began: float) -> int:
    """Run a programme from where it stands."""
    from train.programme.fleet import open_ground
    from train.programme.open import require_programme, resolve, start_folder

    if resume is not None:
        require_programme(resume)
    ground = open_ground(config)
    config = resolve(config, ground)
    from train.callbacks.make import make_own
    from train.compilation import Compilations, use_compilation_cache
    from train.lock import hold
    from train.programme.loop import Programme
    from train.programme.open import after_search

    make_own(config.callbacks)  # a bad one is refused before anything is written
    if config.caching:
        use_compilation_cache()
    run = start_folder(config, ground, resume)
    introduce(config, run, ground)
    try:
        with hold(run), Compilations() as compilations:
            chosen = after_search(config, run, compilations)
            programme = Programme(chosen, run, compilations, began)
            outcome = programme.run_all(open_ground(chosen) if chosen is not config else ground)
    except KeyboardInterrupt:
        return leave("interrupted; what was done is kept", run)
    if not outcome.finished:
        return leave(outcome.reason, run)
    finish(run)
    return 0


def introduce(config: Any, run: Path, ground: Any) -> None:
    """Say what is about to be done."""
    first, last = (ground.windows[place].split for place in (0, -1))
    print(f"programme: {run}   data: {config.data}   network: {config.network.kind}")
    windows = f"{config.iterations} rounds" if config.windows.kind == "fixed" else f"{config.iterations} windows"
    print(
        f"{windows}, {config.candidates} candidates, up to {config.updates} updates of {config.samples:,} steps each; "
        f"out of sample from {first.validation_until} until {last.test_until or 'the last bar'}",
        flush=True,
    )


def leave(reason: str, run: Path, flags: str = "") -> int:
    """Say how to go on with a programme that did not finish, and return the exit status."""
    from jaxtrade.errors import STOPPED

    print(f"stopped: {reason}. Go on: python -m train.programme {flags}--resume {run}")
    return STOPPED


def finish(run: Path) -> None:
    """Say what came of it."""
    from train.programme.read import read_summary

    honesty = read_summary(run).honesty
    if honesty is None:
        return
    stitched = honesty.out_of_sample
    growth, market = (each or 0.0 for each in (stitched.total_return, stitched.buy_and_hold_return))
    print(f"out of sample, {stitched.begin[:10]} to {stitched.until[:10]}: {growth:+.2%}, buy and hold {market:+.2%}")
    print(honesty.verdict)
    print(f"report: {run / 'programme.html'} and {run / 'out-of-sample' / 'report.html'}")


if __name__ == "__main__":
    sys.exit(main())
