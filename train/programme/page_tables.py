"""The verdict, the tiles and the tables of a whole programme."""

from typing import TYPE_CHECKING

from eval_bridge.report.figures import UNDEFINED, format_figure
from eval_bridge.report.markup import Cell, facts, note, table, text
from eval_bridge.report.panels import HONESTY, explain, plain
from train.programme.page_iterations import settings_text
from train.programme.page_words import TITLES, bounds, count, duration, growth, share, tiles_of, times
from train.programme.schema import Summary

if TYPE_CHECKING:
    import pandas as pd

CHOSEN = (
    "Only the stitched out-of-sample account counts. Validation figures choose the winners, so those of the winners "
    "flatter."
)
OPEN = "Out of sample is judged when the last iteration is done. Until then nothing here speaks for or against skill."
JUDGED = ("p_value", "probabilistic_sharpe", "deflated_sharpe", "trials")
MEANINGS = {
    "pbo": "By CSCV over the candidates: how often the best of them in sample is below the median out of sample. "
    "Without skill about one half.",
    "return": "Of the stitched account, over all test ranges, all costs included.",
    "sharpe": "A year, of the stitched account.",
    "drawdown": "Largest fall of the stitched account below its highest value.",
}


def verdict(summary: Summary) -> str:
    """Return the line that no option removes; of an unfinished programme, that there is none yet."""
    found = summary.honesty
    if found is None:
        line, why, kind = f"not finished: {progress(summary)}, no verdict yet", OPEN, "none"
    else:
        line, why = found.verdict, f"{explain(found.p_value)} {CHOSEN}"
        kind = "found" if found.significant else "none"
    return (
        f'<section id="verdict" class="verdict {kind}" aria-label="Verdict"><p class="line">{text(line)}</p>'
        f'<p class="why">{text(why)}</p></section>'
    )


def progress(summary: Summary) -> str:
    """Return how many iterations are done."""
    done, planned = len(summary.iterations), summary.planned_iterations
    if planned is None or planned == done:
        return f"{done} iteration{'' if done == 1 else 's'}"
    return f"{done} of {planned} iterations"


def tiles(summary: Summary, equity: "pd.DataFrame | None") -> str:
    """Return what is asked first: is it skill, how good are the candidates, what was saved."""
    totals, steps = summary.totals, summary.totals.steps
    quality, clock = totals.validation, totals.timing
    plain_schedule = f"Plain schedule, estimated: {duration(clock.estimated_plain_seconds)}"
    stops = f"{totals.early_stops:,} of {totals.starts:,} trainings stopped early"
    shown = [
        *_judged(summary, equity),
        ("Validation, IQM", growth(quality.iqm), bounds(quality.low, quality.high), "Log growth of all candidates"),
        ("Steps saved", share(steps.saved, steps.plain), f"{count(steps.saved)} of {count(steps.plain)}", stops),
        ("Speed-up", times(clock.speedup), f"Took {duration(clock.seconds)}", plain_schedule),
    ]
    words = f"IQM: interquartile mean, below it the {quality.level:.0%} interval over iterations and candidates."
    return tiles_of(shown) + note(words)


def _judged(summary: Summary, equity: "pd.DataFrame | None") -> list[tuple[str, str, str, str]]:
    """Return the tiles of the out-of-sample account; empty ones while it is not there."""
    found = summary.honesty
    if found is None:
        missing = UNDEFINED, "", "Not finished"
        return [("Out-of-sample return", *missing), ("p-value", *missing), ("Overfitting, PBO", *missing)]
    made, over = found.out_of_sample, found.overfitting
    hold = ""
    if equity is not None and len(equity):
        held = equity["buy_and_hold"].to_numpy()
        hold = f"Buy and hold {format_figure(float(held[-1] / held[0] - 1), 'percent')}"
    gained = format_figure(made.total_return, "percent")
    compared = "" if over.strategies is None else f"{over.strategies} candidates"
    luck = f"Deflated Sharpe {_percent(found.deflated_sharpe)}"
    return [
        ("Out-of-sample return", gained, f"Sharpe ratio {format_figure(made.sharpe, 'ratio')}", hold),
        ("p-value", _p(found.p_value), _trials(found.trials), luck),
        ("Overfitting, PBO", _percent(over.probability), compared, over.why or "Without skill about 50%"),
    ]


def _trials(trials: int) -> str:
    return f"after {trials:,} trial{'' if trials == 1 else 's'}"


def _p(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.2g}" if value >= 0.001 else "<0.001"


def _percent(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.0%}"


def switches(summary: Summary) -> str:
    """Return the optimisations, on or off, and what each did."""
    did = _effects(summary)
    rows = [
        [TITLES.get(name, name), "on" if on else "off", did.get(name, "") if on else ""]
        for name, on in summary.switches.items()
    ]
    return table("Optimisations", ["Optimisation", "Switch", "What it did"], rows, "evidence")


def _effects(summary: Summary) -> dict[str, str]:
    totals, steps = summary.totals, summary.totals.steps
    shortened, stopped = steps.plain - steps.planned, steps.planned - steps.done
    validating = sum(row.timing.validation_seconds or 0.0 for row in summary.iterations)
    compiled = totals.timing.compilations or 0
    later = sum(row.timing.compilations or 0 for row in summary.iterations[1:])
    fewer = f"{share(shortened, steps.plain)} fewer than plain"
    return {
        "warm_start": f"{totals.warm_starts:,} of {totals.starts:,} trainings began with the best policy so far.",
        "adaptive_timesteps": f"{count(steps.planned)} steps planned, {fewer}.",
        "early_stopping": f"{totals.early_stops:,} of {totals.starts:,} trainings stopped early; "
        f"{count(stopped)} steps ({share(stopped, steps.plain)}) were not needed.",
        "progressive": f"Schedule: {summary.schedule or 'none'}.",
        "caching": f"Compiled once: {later:,} of {compiled:,} programs after the first iteration.",
        "fast_evaluation": f"Validations took {duration(validating)} of {duration(totals.timing.seconds)}.",
    }


def honesty(summary: Summary) -> str:
    """Return what speaks for skill and for luck."""
    found = summary.honesty
    if found is None:
        return note(OPEN)
    made, over = found.out_of_sample, found.overfitting
    rows: list[list[Cell | str]] = []
    for name in JUDGED:
        title, kind, words = HONESTY[name]
        rows.append([title, _value(plain(getattr(found, name), kind)), words])
    pbo = _value(_percent(over.probability), over.why or "Not defined")
    rows.append(["Probability of backtest overfitting", pbo, MEANINGS["pbo"]])
    kinds = {"return": (made.total_return, "percent"), "sharpe": (made.sharpe, "ratio")}
    kinds |= {"drawdown": (made.max_drawdown, "percent")}
    titles = {"return": "Out-of-sample return", "sharpe": "Out-of-sample Sharpe ratio", "drawdown": "Largest drawdown"}
    rows += [[titles[name], _value(format_figure(*kinds[name])), MEANINGS[name]] for name in kinds]
    return table("Skill or luck", ["Evidence", "Value", "Meaning"], rows, "numbers evidence")


def _value(shown: str, why: str = "Not defined") -> Cell:
    return Cell(shown, why if shown == UNDEFINED else "")


def about(summary: Summary) -> str:
    """Return what was run."""
    names = dict.fromkeys(settings_text(each) for each in summary.settings)
    rows = {
        "data": summary.data,
        "symbols": ", ".join(summary.symbols),
        "network": summary.network,
        "iterations": progress(summary),
        "candidates": f"{summary.candidates} side by side, seeds {', '.join(map(str, sorted(set(summary.seeds))))}",
        "varied": "; ".join(names) if any(summary.settings) else "the seed only",
        "schedule": summary.schedule or "none",
        "seed": str(summary.seed),
        "resumed": f"{summary.totals.timing.resumed:,} times",
        "folders": "each iteration is a run of its own; the whole stitched backtest is in out-of-sample/report.html",
    }
    return facts("What was run", rows)
