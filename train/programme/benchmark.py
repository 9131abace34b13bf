"""`--benchmark`: the programme with and without each optimisation, from the same seeds, so that both are measured.

Each variant is a programme of its own in a folder of the benchmark. All start without any cache, so that none profits
from what the one before has compiled.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from train.compilation import Compilations
from train.folder import create_run, fingerprint
from train.lock import hold
from train.programme.benchmark_page import benchmark_text, write_benchmark
from train.programme.config import SWITCHES, ProgrammeConfig
from train.programme.fleet import open_ground
from train.programme.intervals import difference_interval
from train.programme.iteration import Record, folder_of, read_result, write_json
from train.programme.loop import Programme, forget_programs, read_clock
from train.programme.open import require_programme, resolve, start_folder
from train.programme.read import read_summary
from train.programme.summary import SUMMARY, scores_of

RECORD = "benchmark.json"
PLAIN = "plain"
OPTIMISED = "optimised"


def variants_of(config: ProgrammeConfig, each_alone: bool = True) -> dict[str, ProgrammeConfig]:
    """Return the programmes to compare: with all that is switched on, with none of it, and without each alone."""
    used = [name for name in SWITCHES if getattr(config, name)]
    off: dict[str, list[str]] = {OPTIMISED: [], PLAIN: used}
    off |= {f"no-{name.replace('_', '-')}": [name] for name in used if each_alone and len(used) > 1}
    return {name: config.model_copy(update=dict.fromkeys(switches, False)) for name, switches in off.items()}


def run_benchmark(config: ProgrammeConfig, resume: Path | None, each_alone: bool = True) -> int:
    """Run every variant that is not finished, and report what each optimisation saves and costs.

    Args:
        config: The programme.
        resume: The folder of a benchmark to go on with.
        each_alone: Also without each optimisation alone, not only with all and with none.

    Raises:
        InputError: As the programme; or nothing is switched on.
    """
    from train.programme.__main__ import leave

    if resume is not None:
        require_programme(resume, benchmark=True)
    ground = open_ground(config)
    config = resolve(config, ground)
    run = start_folder(config, ground, resume)
    variants = variants_of(config, each_alone)
    try:
        with hold(run):
            for number, (name, variant) in enumerate(variants.items(), start=1):
                sys.stdout.write(f"variant {number}/{len(variants)}: {name}\n")
                if reason := run_variant(name, variant, run):
                    return leave(reason, run, "--benchmark ")
    except KeyboardInterrupt:
        return leave("interrupted; what was done is kept", run, "--benchmark ")
    record = benchmark_record(config, run, list(variants))
    write_json(run / RECORD, record)
    page = write_benchmark(run, record)
    sys.stdout.write(benchmark_text(record) + f"\nreport: {page}\n")
    return 0


def run_variant(name: str, config: ProgrammeConfig, run: Path) -> str:
    """Run a programme from where it stands; return why it stopped, empty if it is finished."""
    config = config.model_copy(update={"name": name, "runs_dir": str(run)})
    folder = run / name
    if (folder / SUMMARY).exists() and read_summary(folder).finished:
        return ""
    began = time.perf_counter()
    forget_programs()
    ground = open_ground(config)
    if not folder.exists():
        records = {"fingerprint.json": fingerprint(config, ground.table(0))}
        create_run(folder, config, records, latest=False)
    with hold(folder), Compilations() as compilations:
        outcome = Programme(config, folder, compilations, began).run_all(ground)
    return "" if outcome.finished else outcome.reason


def benchmark_record(config: ProgrammeConfig, run: Path, names: list[str]) -> Record:
    """Return what benchmark.json holds; docs/programme.md explains it."""
    scores = {name: scores_of(results_of(config, run / name)) for name in names}
    rows = [variant_record(config, run, name, scores) for name in names]
    best, plain = rows[0], rows[1]
    faster = best["timing"]["speedup_against_plain"]
    against = best["against_plain"]
    quality = "is better" if against["better"] else "overlaps" if against["overlaps"] else "is worse"
    return {
        "schema": 1,
        "name": config.name,
        "data": config.data,
        "network": config.network.kind,
        "seeds": [candidate.seed for candidate in config.lineup],
        "iterations": config.iterations,
        "candidates": config.candidates,
        "variants": rows,
        "verdict": f"{faster:.1f} times faster than plain ({best['timing']['seconds']:.0f} s against "
        f"{plain['timing']['seconds']:.0f} s), at a validation interval that {quality}",
    }


def results_of(config: ProgrammeConfig, folder: Path) -> list[Record]:
    """Return the results of a finished programme's iterations."""
    found = [read_result(folder_of(folder, number)) for number in range(config.iterations)]
    return [result for result in found if result is not None]


def variant_record(config: ProgrammeConfig, run: Path, name: str, scores: dict[str, Any]) -> Record:
    """Return the row of a variant."""
    summary: Record = json.loads((run / name / SUMMARY).read_text(encoding="utf-8"))
    totals, stitched = summary["totals"], summary["honesty"]["out_of_sample"]
    seconds, plain = (read_clock(run / each)["seconds"] for each in (name, PLAIN))
    return {
        "variant": name,
        "folder": name,
        "steps": {part: totals["steps"][part] for part in ("plain", "done", "saved")},
        "updates": sum(row["updates"]["done"] for row in summary["iterations"]),
        "validation": totals["validation"],
        "against_plain": None if name == PLAIN else against_plain(scores[name], scores[PLAIN]),
        "out_of_sample": {part: stitched[part] for part in ("log_growth", "total_return")},
        "early_stops": totals["early_stops"],
        "warm_starts": totals["warm_starts"],
        "timing": {
            "seconds": seconds,
            "speedup_against_plain": plain / seconds,
            "seconds_per_iteration": seconds / config.iterations,
            "compilations": totals["timing"]["compilations"],
        },
    }


def against_plain(scores: Any, plain: Any) -> Record:
    """Return how the validations of a variant compare with those of the plain programme, seed by seed.

    Better or worse is what the interval of the difference of interquartile means says; where it holds zero, the two
    overlap.
    """
    found = difference_interval(scores, plain)
    low, high = (np.nan if end is None else end for end in (found.low, found.high))
    return {
        "overlaps": bool(low <= 0 <= high),
        "better": bool(low > 0),
        "difference": {"iqm": found.iqm, "low": found.low, "high": found.high},
    }
