"""A programme: iteration after iteration, and in the end one backtest of all winners over the bars they never saw."""

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from eval_bridge.stitched import leg_figures, stitched_curve, stitched_evaluation
from eval_bridge.turns import OUT_OF_SAMPLE, make_turns, read_turns, spans_of, write_relay
from jaxtrade import trials
from jaxtrade.market.splits import Range
from train.callbacks.base import Callback
from train.callbacks.gradient_monitor import GradientMonitor
from train.callbacks.make import make_own
from train.callbacks.metrics_log import MetricsLog
from train.compilation import Compilations
from train.programme.config import ProgrammeConfig
from train.programme.fleet import Fleet, Ground, compile_fleet, open_ground
from train.programme.iteration import (
    Incumbent,
    Record,
    folder_of,
    load_incumbent,
    make_task,
    read_result,
    run_iteration,
    write_json,
)
from train.programme.page import write_page
from train.programme.page_words import duration
from train.programme.summary import SUMMARY, Clock, honesty_of, make_summary
from train.programme.watch import AllStopped, Pulse, Spent
from train.run import Outcome

SPENT = "spent.json"


class Programme:
    """The programme in a folder, which its caller holds."""

    def __init__(self, config: ProgrammeConfig, run: Path, compilations: Compilations, began: float) -> None:
        """Take a resolved configuration, and the moment at which this start began."""
        self.config, self.run, self._compilations = config, run, compilations
        self.ledger = trials.ledger_path(run)
        self._began, self._setup_seconds = began, 0.0
        self._before = read_clock(run)
        self._fleet: Fleet | None = None
        self._incumbent: Incumbent | None = None

    def run_all(self, ground: Ground) -> Outcome:
        """Run what is not done yet.

        Raises:
            InputError: Something cannot be written, or a callback failed; a resume goes on from there.
        """
        clear_drafts(self.run)
        self._ground, results = ground, list[Record]()
        for number in range(self.config.iterations):
            result = read_result(folder_of(self.run, number))
            if result is None:
                outcome = self._iterate(number, results)
                if not outcome.finished:
                    self._keep_clock()
                    return outcome
                result = read_result(folder_of(self.run, number))
                assert result is not None  # run_iteration has written it
                results.append(result)
                self._report(results)
            else:
                results.append(result)
        self._conclude(results)
        return Outcome(True, f"all {self.config.iterations} iterations are done", abandoned=False)

    def _iterate(self, number: int, results: list[Record]) -> Outcome:
        """Run an iteration on the shared data and programs; without caching, on its own."""
        if self._fleet is None or not self.config.caching:
            began = self._began if self._fleet is None else time.perf_counter()  # the start is part of the first setup
            if not self.config.caching:
                forget_programs()
                self._ground = open_ground(self.config)
            sys.stdout.write("compiling ...\n")
            sys.stdout.flush()
            self._fleet = compile_fleet(self.config, self._ground)
            self._setup_seconds = time.perf_counter() - began
        incumbent = self._best_so_far(results)
        task = make_task(self.config, self._ground, self._fleet, self.run, number, incumbent)
        callbacks = callbacks_of(self.config, f"iteration {number + 1}/{self.config.iterations}")
        return run_iteration(self.config, self._fleet, task, self.ledger, self._compilations, callbacks)

    def _best_so_far(self, results: list[Record]) -> Incumbent | None:
        """Return what to start from: the newest winner, on a fixed window the best of all."""
        if not results or not self.config.warm_start:
            return None
        place = len(results) - 1 if self.config.windows.kind != "fixed" else best_round(results)
        if self._incumbent is None or self._incumbent.iteration != place:
            assert self._fleet is not None
            task = make_task(self.config, self._ground, self._fleet, self.run, place, None)
            self._incumbent = load_incumbent(self.config, self._fleet, task, results[place])
        return self._incumbent

    def _clock(self) -> Clock:
        before, seconds = self._before, time.perf_counter() - self._began
        return Clock(before["seconds"] + seconds, before["starts"] + 1, self._setup_seconds, self._compilations.total)

    def _keep_clock(self) -> None:
        clock = self._clock()
        write_json(self.run / SPENT, {"seconds": clock.seconds, "starts": clock.starts})

    def _write(self, results: list[Record], **more: Any) -> Record:
        """Write the summary of what is done."""
        symbols = self._ground.prepared.config.symbols
        summary = make_summary(self.config, symbols, results, self._clock(), **more)
        write_json(self.run / SUMMARY, summary)
        return summary

    def _report(self, results: list[Record]) -> None:
        """Write what is known after an iteration, and say it in a line."""
        self._keep_clock()
        summary = self._write(results)
        write_page(self.run, summary, None)
        sys.stdout.write(lines_of(summary, self.config))
        sys.stdout.flush()

    def _conclude(self, results: list[Record]) -> None:
        """Let the winners trade the bars that none of them saw, one after another, and judge that."""
        fixed = self.config.windows.kind == "fixed"
        legs = [results[best_round(results)]] if fixed else results
        spans = [Range(*result["spans"]["test"]) for result in legs]
        bundles = [f"{result['folder']}/policy.npz" for result in legs]
        write_relay(self.run, make_turns(bundles, spans, self._ground.prepared.bars.time))
        evaluation = stitched_evaluation(self.run, ledger=self.ledger)
        evaluation.write(self.run / OUT_OF_SAMPLE)
        turns = spans_of(read_turns(self.run), evaluation.result.table.time)
        honesty = honesty_of(self.config, self.run, results, evaluation)
        parts = None if fixed else leg_figures(evaluation, turns)
        summary = self._write(results, honesty=honesty, legs=parts)
        self._keep_clock()
        write_page(self.run, summary, stitched_curve(evaluation, turns))


def clear_drafts(run: Path) -> None:
    """Remove what was being written when a process was killed; nobody else writes here."""
    names = ".iteration-*", ".programme.html-*", f"{OUT_OF_SAMPLE}/.writing-*", "iteration-*/*.npz.tmp"
    for left in (path for name in names for path in run.glob(name)):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def callbacks_of(config: ProgrammeConfig, title: str) -> list[Callback]:
    """Return the callbacks of an iteration."""
    return [Pulse(title), MetricsLog(), GradientMonitor(), AllStopped(), Spent(), *make_own(config.callbacks)]


def best_round(results: list[Record]) -> int:
    """Return the round on a fixed window with the best validation, the first of several."""
    return int(np.argmax([result["winner"]["log_growth"] for result in results]))


def read_clock(run: Path) -> Record:
    """Return the seconds and starts before this one."""
    try:
        found: Record = json.loads((run / SPENT).read_text(encoding="utf-8"))
        return {"seconds": float(found["seconds"]), "starts": int(found["starts"])}
    except (OSError, ValueError, KeyError):
        return {"seconds": 0.0, "starts": 0}


def forget_programs() -> None:
    """Let every program be compiled anew, as in a process of its own without any cache."""
    import jax

    jax.config.update("jax_compilation_cache_dir", None)
    jax.clear_caches()


def pace_of(rows: list[Record]) -> float:
    """Return the seconds that an iteration to come will take: those of the others, but for what is done once."""
    later = [row["timing"]["seconds"] for row in rows[1:]]
    first = rows[0]["timing"]
    return sum(later) / len(later) if later else first["training_seconds"] + first["validation_seconds"]


def lines_of(summary: Record, config: ProgrammeConfig) -> str:
    """Return what to say of the newest iteration: what came of it, what was saved, and how long the rest will take."""
    row, totals = summary["iterations"][-1], summary["totals"]
    found, winner = row["validation"], row["winner"]
    left = pace_of(summary["iterations"]) * (config.iterations - row["iteration"])
    spread = "" if found["low"] is None else f" [{found['low']:+.4f}, {found['high']:+.4f}]"
    middle = "none" if found["iqm"] is None else f"{found['iqm']:+.4f}{spread}"
    phase = f"{row['phase']}, " if row["phase"] else ""
    saved, done = row["steps"]["saved"], row["steps"]["done"]
    return (
        f"iteration {row['iteration']}/{config.iterations}: {phase}{row['start']} start, "
        f"{row['timing']['seconds']:.1f} s, left {duration(left)}\n"
        f"  validation log growth {middle}; winner {winner['candidate']} at update {winner['update']}, "
        f"{winner['log_growth']:+.4f}\n"
        f"  {done:,} steps, {saved:,} saved; {row['early_stopped']} of {config.candidates} stopped early; "
        f"about {totals['timing']['speedup']:.1f}x the plain schedule so far\n"
    )
