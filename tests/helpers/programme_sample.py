"""Summaries of training programmes and records of benchmarks made by hand: plausible numbers, and what breaks pages."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

SEED = 88
SIGNATURE = "<script>window.stolen = true</script>"  # a name or a path may hold anything
CAPITAL = 100_000.0
STEPS = 65_536  # of a candidate's update
FIRST = np.datetime64("2016-01-04", "s")
WINDOW = 90  # days of a test range
SWITCHES = ("warm_start", "adaptive_timesteps", "early_stopping", "progressive", "caching", "fast_evaluation")
PHASES = (("exploration", 1.0, 1.5, 4), ("refinement", 0.5, 1.0, 3), ("exploitation", 0.2, 0.5, 2))
VERDICTS = {
    True: "evidence of skill at the 5 % level: p = 0.021 (the same positions at other times 0.021, luck after 37 "
    "trials 0.019)",
    False: "no evidence of skill: p = 0.43 (the same positions at other times 0.31, luck after 37 trials 0.43)",
}


@dataclass
class Case:
    """What is made."""

    iterations: int = 8
    planned: int | None = None  # more than there are: the programme is not finished
    candidates: int = 4
    varied: bool = True
    fixed: bool = False
    plain: bool = False  # every optimisation off
    significant: bool = False
    undefined: bool = False  # figures that are no numbers
    text: str = "gold"


CASES = {
    "finished": Case(),
    "skilled": Case(significant=True, varied=False),
    "unfinished": Case(iterations=3, planned=8),
    "empty": Case(iterations=0, planned=8),
    "single": Case(candidates=1, varied=False),
    "fixed": Case(iterations=5, fixed=True),
    "plain": Case(plain=True),
    "long": Case(iterations=40, candidates=8),
    "undefined": Case(iterations=2, undefined=True),
    "hostile": Case(iterations=3, text=SIGNATURE),
}


def summary(name: str) -> dict[str, Any]:
    """Return what programme_summary.json of a case holds."""
    case, generator = CASES[name], np.random.default_rng(SEED)
    done = case.planned is None
    settings = [{"ppo.learning_rate": (1e-3, 3e-4)[k % 2]} if case.varied else {} for k in range(case.candidates)]
    settings = [{SIGNATURE: 1.0} for _ in settings] if case.text == SIGNATURE else settings
    seeds = [k // 2 if case.varied else k for k in range(case.candidates)]
    rows = [_iteration(case, generator, number, settings, seeds) for number in range(1, case.iterations + 1)]
    return {
        "schema": 1,
        "name": case.text,
        "data": f"/data/{case.text}.csv.gz",
        "symbols": [case.text.upper() if case.text == "gold" else case.text],
        "network": "multiscale_lstm",
        "seed": 0,
        "finished": done,
        "planned_iterations": case.planned or case.iterations,
        "candidates": case.candidates,
        "settings": settings,
        "seeds": seeds,
        "switches": dict.fromkeys(SWITCHES, not case.plain),
        "schedule": None if case.plain else case.text if case.text == SIGNATURE else "balanced",
        "iterations": rows,
        "totals": _totals(case, rows),
        "honesty": _honesty(case, rows) if done else None,
    }


def _iteration(
    case: Case, generator: np.random.Generator, number: int, settings: list[dict[str, float]], seeds: list[int]
) -> dict[str, Any]:
    plain, count, warm = 24, case.candidates, number > 1 and not case.plain
    planned = plain if case.plain else max(8, round(plain * 0.95 ** (number - 1)))
    name, *knobs = PHASES[min(2, 3 * (number - 1) // max(1, case.planned or case.iterations))]
    name = case.text if case.text == SIGNATURE else name
    made = [_candidate(case, generator, k, planned) for k in range(count)]
    made = [each | {"seed": seeds[k], "settings": settings[k]} for k, each in enumerate(made)]
    ends = [each["stopped_at"] or planned for each in made]
    growth = [each["validation"]["log_growth"] for each in made]
    saw = case.planned is None and not (case.fixed and number < case.iterations)
    return {
        "iteration": number,
        "folder": f"iteration-{number:02d}",
        "phase": None if case.plain else name,
        "start": "warm" if warm else "cold",
        "ranges": _ranges(case, number),
        "knobs": dict(zip(("learning_rate", "entropy_weight", "epochs"), knobs, strict=True)),
        "updates": {"plain": plain, "planned": planned, "done": max(ends)},
        "steps": _steps(plain * count, planned * count, sum(ends)),
        "early_stopped": sum(each["stopped_at"] is not None for each in made),
        "warm_started": warm,
        "candidates": made,
        "validation": _interval([each for each in growth if each is not None], case),
        "winner": _winner(made),
        "out_of_sample": _leg(case, generator) if saw else None,
        "policy_sha256": f"{number:02d}" * 32,
        "timing": _timing(number),
    }


def _candidate(case: Case, generator: np.random.Generator, k: int, planned: int) -> dict[str, Any]:
    stop = None if case.plain or k % 3 == 2 else int(generator.integers(4, planned))
    growth = None if case.undefined and k == 0 else round(float(generator.normal(0.035, 0.03)), 6)
    end = planned if stop is None else stop
    validation = {"log_growth": growth, "update": end - 2, "validations": end // 2}
    return {"candidate": k, "validation": validation, "stopped_at": stop}


def _winner(made: list[dict[str, Any]]) -> dict[str, Any]:
    known = [each for each in made if each["validation"]["log_growth"] is not None]
    best = max(known, key=lambda each: each["validation"]["log_growth"])
    found = best["validation"]
    exact = round(found["log_growth"] - 0.0004, 6)
    place = {"candidate": best["candidate"], "update": found["update"]}
    return place | {"log_growth": found["log_growth"], "exact_log_growth": exact}


def _timing(number: int) -> dict[str, float]:
    faster = 2.0 * min(number, 9)
    parts = {"training_seconds": 30.1 - faster, "validation_seconds": 4.0, "setup_seconds": 6.2}
    return {"seconds": 41.2 - faster, **parts, "compilations": 3 if number == 1 else 0}


def _ranges(case: Case, number: int) -> dict[str, list[str]]:
    shift = 0 if case.fixed else (number - 1) * WINDOW
    ends = {"train": (-720, -95), "validation": (-90, -5), "test": (0, WINDOW - 1)}
    days = {name: [FIRST + np.timedelta64(day + shift, "D") for day in pair] for name, pair in ends.items()}
    return {name: [str(day) for day in pair] for name, pair in days.items()}


def _steps(plain: int, planned: int, done: int) -> dict[str, int]:
    plain, planned, done = (updates * STEPS for updates in (plain, planned, done))
    return {"plain": plain, "planned": planned, "done": done, "saved": plain - done}


def _interval(values: list[float], case: Case) -> dict[str, Any]:
    if not values or case.undefined:
        return {"iqm": None, "low": None, "high": None, "level": 0.95}
    middle, spread = float(np.median(values)), float(np.std(values))
    known = case.candidates > 1
    low, high = middle - spread, middle + spread
    return {"iqm": middle, "low": low if known else None, "high": high if known else None, "level": 0.95}


def _leg(case: Case, generator: np.random.Generator) -> dict[str, Any]:
    if case.undefined:
        return {"log_growth": 0.0, "sharpe": None, "max_drawdown": 0.0, "trades": 0}
    growth = round(float(generator.normal(0.008, 0.03)), 6)
    depth = round(float(generator.uniform(0.01, 0.08)), 6)
    return {"log_growth": growth, "sharpe": round(30 * growth, 4), "max_drawdown": depth, "trades": 41}


def _totals(case: Case, rows: list[dict[str, Any]]) -> dict[str, Any]:
    steps = {name: sum(row["steps"][name] for row in rows) for name in ("plain", "planned", "done", "saved")}
    values = [each["validation"]["log_growth"] for row in rows for each in row["candidates"]]
    seconds = sum(row["timing"]["seconds"] for row in rows)
    plain = 0.0 if not steps["done"] else seconds * steps["plain"] / steps["done"]
    return {
        "steps": steps,
        "early_stops": sum(row["early_stopped"] for row in rows),
        "warm_starts": case.candidates * sum(row["warm_started"] for row in rows),
        "starts": case.candidates * len(rows),
        "validation": _interval([each for each in values if each is not None], case),
        "timing": {
            "seconds": seconds,
            "estimated_plain_seconds": plain or None,
            "speedup": plain / seconds if seconds else None,
            "compilations": 3 if rows else 0,
            "resumed": 2,
        },
    }


def _honesty(case: Case, rows: list[dict[str, Any]]) -> dict[str, Any]:
    legs = [row["out_of_sample"]["log_growth"] for row in rows if row["out_of_sample"]]
    chance = None if case.candidates == 1 or case.undefined else 0.47
    verdict = VERDICTS[case.significant] if case.text == "gold" else f"no evidence of skill: {case.text}"
    return {
        "trials": 37,
        "p_value": 1.0 if case.undefined else 0.021 if case.significant else 0.43,
        "verdict": verdict,
        "significant": case.significant,
        "deflated_sharpe": None if case.undefined else 0.57,
        "probabilistic_sharpe": None if case.undefined else 0.81,
        "overfitting": {
            "probability": chance,
            "blocks": None if chance is None else 16,
            "strategies": None if chance is None else case.candidates,
            "why": "there is one strategy" if chance is None else None,
        },
        "out_of_sample": {
            "log_growth": sum(legs),
            "total_return": float(np.expm1(sum(legs))),
            "sharpe": None if case.undefined else 0.41,
            "max_drawdown": 0.112,
            "buy_and_hold_return": 0.208,
            "from": rows[0]["ranges"]["test"][0],
            "until": rows[-1]["ranges"]["test"][1],
        },
    }


def equity(name: str) -> pd.DataFrame | None:
    """Return the stitched account of a case that is finished: time, equity, buy_and_hold, leg."""
    made, generator = summary(name), np.random.default_rng(SEED)
    if not made["finished"]:
        return None
    legs = [row for row in made["iterations"] if row["out_of_sample"]]
    parts = []
    for leg, row in enumerate(legs, start=1):
        bars = 6 * WINDOW
        time = np.datetime64(row["ranges"]["test"][0], "s") + np.arange(bars) * np.timedelta64(4, "h")
        noise = generator.normal(0, 0.002, (2, bars))
        drift = row["out_of_sample"]["log_growth"] / bars
        moves = noise - noise.mean(axis=1, keepdims=True) + np.array([[drift], [0.00002]])
        parts.append(pd.DataFrame({"time": time, "equity": moves[0], "buy_and_hold": moves[1], "leg": leg}))
    table = pd.concat(parts, ignore_index=True)
    for column in ("equity", "buy_and_hold"):
        table[column] = CAPITAL * np.exp(np.cumsum(table[column]))
    return table


VARIANTS = {  # name: share of the plain steps, seconds, overlaps, better
    "optimised": (0.24, 182.0, True, False),
    "plain": (1.0, 964.0, None, None),
    "no-warm-start": (0.31, 233.0, True, False),
    "no-adaptive-timesteps": (0.33, 241.0, True, True),
    "no-early-stopping": (0.72, 511.0, True, False),
    "no-progressive": (0.26, 192.0, False, False),
    "no-caching": (0.24, 309.0, True, False),
    "no-fast-evaluation": (0.24, 231.0, True, False),
}


def benchmark(text: str = "gold", variants: tuple[str, ...] = tuple(VARIANTS)) -> dict[str, Any]:
    """Return what benchmark.json holds."""
    generator = np.random.default_rng(SEED)
    return {
        "schema": 1,
        "name": text,
        "data": f"/data/{text}.csv.gz",
        "network": "multiscale_lstm",
        "seeds": [0, 1],
        "iterations": 8,
        "candidates": 4,
        "variants": [_variant(name, generator) for name in variants],
        "verdict": f"5.3 times faster than plain at a validation interval that overlaps ({text})",
    }


def _variant(name: str, generator: np.random.Generator) -> dict[str, Any]:
    share, seconds, overlaps, better = VARIANTS[name]
    plain = 8 * 4 * 24 * STEPS
    middle = round(0.034 + float(generator.normal(0, 0.003)), 5)
    apart = round(middle - 0.034, 5)
    against = {"overlaps": overlaps, "better": better}
    against |= {"difference": {"iqm": apart, "low": apart - 0.01, "high": apart + 0.01}}
    return {
        "variant": name,
        "folder": f"runs/gold-{name}",
        "steps": {"plain": plain, "done": round(plain * share), "saved": plain - round(plain * share)},
        "updates": round(8 * 24 * share),
        "validation": {"iqm": middle, "low": middle - 0.008, "high": middle + 0.009, "level": 0.95},
        "against_plain": None if overlaps is None else against,
        "out_of_sample": {"log_growth": 0.031, "total_return": 0.0315},
        "early_stops": 0 if name in ("plain", "no-early-stopping") else 21,
        "warm_starts": 0 if name in ("plain", "no-warm-start") else 28,
        "timing": {
            "seconds": seconds,
            "speedup_against_plain": 964.0 / seconds,
            "seconds_per_iteration": seconds / 8,
            "compilations": 24 if name in ("plain", "no-caching") else 3,
        },
    }
