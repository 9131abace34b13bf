"""The short table of a result, as text."""

import textwrap
from collections.abc import Mapping, Sequence

from eval_bridge.evaluation import Evaluation
from eval_bridge.metrics import FIGURES
from eval_bridge.report.figures import HEADLINE, format_figure, format_interval

WIDTH = 80
NAME, COLUMN = 26, 15  # characters of the first column, and of each of the others
PAID = ("fees", "spread", "slippage", "borrow", "interest", "dividends", "delisting_loss")
ORDER = ("buy_and_hold", "random", "momentum", "equal_weight", "cash")  # the first stands there at any width


def console_text(evaluation: Evaluation, width: int = WIDTH) -> str:
    """Return the table of the policy beside the baselines that fit, what stands in doubt, and the verdict.

    Args:
        evaluation: What to tell.
        width: Characters of a line.
    """
    shown = [name for name in ORDER if name in evaluation.baselines]
    shown = shown[: max(1, (width - NAME) // COLUMN - 1)]
    columns = {"policy": evaluation.figures}
    columns |= {
        evaluation.baselines[name].title.split(",")[0].lower(): evaluation.baselines[name].figures for name in shown
    }
    intervals = evaluation.honesty.get("intervals", {})
    level = evaluation.honesty.get("interval_level", 0.95)
    first, last = (str(time)[:10] for time in evaluation.result.time[[0, -1]])
    lines = [f"{evaluation.split} range {first} to {last}, {len(evaluation.result.history)} decisions"]
    lines += [*_changes(evaluation), *table(columns, {"sharpe": f"{level:.0%} interval"}, intervals), ""]
    lines += _extras(evaluation)
    for warning in evaluation.warnings:
        lines += textwrap.wrap(f"warning: {warning}", width, subsequent_indent="  ")
    lines += textwrap.wrap(evaluation.verdict, width, subsequent_indent="  ")
    return "\n".join(lines)


def table(
    columns: Mapping[str, Mapping[str, float]], beside: Mapping[str, str], intervals: Mapping[str, Sequence[float]]
) -> list[str]:
    """Return the lines of a table of figures, one column for each name.

    Args:
        columns: Figures by name, of each column.
        beside: Figures whose interval, of the first column, gets a line below, and the name of that line.
        intervals: [low, high] by figure.
    """
    lines = [" " * NAME + "".join(f"{name[: COLUMN - 1]:>{COLUMN}}" for name in columns)]
    for name in rows_of(columns):
        figure = FIGURES[name]
        cells = [format_figure(each.get(name), figure.kind) for each in columns.values()]
        lines.append(f"{figure.title:{NAME}}" + "".join(f"{cell:>{COLUMN}}" for cell in cells))
        if name in beside:
            text = format_interval(intervals.get(name), figure.kind) or "-"
            lines.append(f"{'  ' + beside[name]:{NAME}}{text:>{COLUMN}}")
    return lines


def rows_of(columns: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the figures of the short table; a cost that nobody paid is left out."""
    costs = [name for name in PAID if any(each.get(name) for each in columns.values())]
    names = [*(name for name in HEADLINE if name not in PAID), *costs, "blocked_orders", "rejected_orders"]
    return [name for name in FIGURES if name in names]


def _changes(evaluation: Evaluation) -> list[str]:
    """Return what was not as in training."""
    options = evaluation.provenance["options"]
    costs = [f"{name} {value}" for name, value in options["costs"].items()]
    changed = costs + [f"delay {options['delay']} bars"] * bool(options["delay"])
    return ["not as in training: " + ", ".join(changed)] if changed else []


def _extras(evaluation: Evaluation) -> list[str]:
    lines = []
    if evaluation.stress is not None:
        lines.append(f"break-even cost: {evaluation.break_even_text}")
    if evaluation.stochastic is not None:
        low, middle, high = evaluation.stochastic["total_return"].quantile([0.05, 0.5, 0.95])
        runs = f"{len(evaluation.stochastic)} sampled runs"
        lines.append(f"total return of {runs}: median {middle:.2%}, 5 % to 95 %: {low:.2%} to {high:.2%}")
    return lines
