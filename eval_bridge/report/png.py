"""The pictures of a backtest: PNG files with the same bytes for the same backtest."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval_bridge.evaluation import Evaluation
from eval_bridge.metrics import drawdowns, monthly_returns, returns_of, rolling_sharpe
from eval_bridge.report.curves import sharpe_window
from eval_bridge.report.figures import format_figure
from eval_bridge.report.shapes import MONTHS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POLICY, HOLD, INK, MUTED, FAINT = "#0b62a4", "#c06a00", "#16191d", "#5b6470", "#dfe3e8"
OTHERS = {"equal_weight": "#00785a", "momentum": "#a8457f", "random": "#7b8591", "cash": "#9aa3ad"}
STYLE: Any = {
    "font.size": 9,
    "font.family": "DejaVu Sans",  # it comes with matplotlib: the same letters on every machine
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}


def write_plots(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write the pictures that this backtest has; return their paths.

    Args:
        evaluation: The backtest, judged.
        folder: Where they go; it is made if need be.
    """
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    drawings: dict[str, Callable[[Evaluation], Figure]] = {
        "equity": _equity,
        "drawdown": _drawdown,
        "monthly": _monthly,
        "returns": _returns,
        "exposure": _exposure,
    }
    if sharpe_window(evaluation):
        drawings["rolling_sharpe"] = _rolling
    paths = []
    for name, drawing in drawings.items():
        path = folder / f"{name}.png"
        with mpl.rc_context(STYLE):
            drawing(evaluation).savefig(path, format="png", dpi=150, metadata={"Software": None})
        paths.append(path)
    return paths


def _figure(title: str, height: float) -> "tuple[Figure, Any]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", pad=10)
    axes.margins(x=0.01)
    return figure, axes


def _over_time(title: str, height: float) -> "tuple[Figure, Any]":
    from matplotlib import dates

    figure, axes = _figure(title, height)
    locator = dates.AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    return figure, axes


def _money(axes: Any) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _percent(axis: Any, digits: int = 0) -> None:
    axis.set_major_formatter(lambda value, _: f"{100 * value:.{digits}f}%")


def _equity(evaluation: Evaluation) -> "Figure":
    result = evaluation.result
    figure, axes = _over_time("Equity", 4.2)
    for name, each in evaluation.baselines.items():
        color = HOLD if name == "buy_and_hold" else OTHERS.get(name, MUTED)
        style = ":" if name in ("cash", "random") else "-"
        axes.plot(result.time, each.equity, style, color=color, linewidth=1, label=each.title.replace("$", r"\$"))
    axes.plot(result.time, result.equity, color=POLICY, linewidth=1.8, label="Policy")
    axes.legend(frameon=False, ncols=3)
    _money(axes)
    figure.supxlabel(evaluation.verdict.replace("$", r"\$"), fontsize=8.5, color=MUTED, x=0.01, ha="left", wrap=True)
    return figure


def _drawdown(evaluation: Evaluation) -> "Figure":
    result, hold = evaluation.result, evaluation.baselines.get("buy_and_hold")
    figure, axes = _over_time("Drawdown", 2.8)
    axes.fill_between(result.time, drawdowns(result.equity), 0, color=POLICY, alpha=0.3, linewidth=0, label="Policy")
    if hold is not None:
        axes.plot(result.time, drawdowns(hold.equity), color=HOLD, linewidth=1, label=hold.title.replace("$", r"\$"))
        axes.legend(frameon=False, ncols=2)
    _percent(axes.yaxis, 1)
    return figure


def _monthly(evaluation: Evaluation) -> "Figure":
    found = monthly_returns(evaluation.result.time, evaluation.result.equity)
    months = found[list(range(1, 13))].to_numpy(float)
    finite = np.abs(months[np.isfinite(months)])
    most = max(float(np.quantile(finite, 0.95)) if len(finite) else 0.0, 1e-12)
    figure, axes = _figure("Return by month", 1.0 + 0.34 * len(found))
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.imshow(months, cmap=_diverging(), vmin=-most, vmax=most, aspect="auto")
    for (row, column), value in np.ndenumerate(months):
        if np.isfinite(value):
            axes.text(column, row, format_figure(value, "percent"), ha="center", va="center", fontsize=8)
    axes.set_xticks(range(12), MONTHS)
    axes.set_yticks(range(len(found)), [str(year) for year in found.index])
    axes.tick_params(length=0)
    return figure


def _diverging() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("loss to gain", ["#e29a75", "#ffffff", "#7fb2d9"])


def _returns(evaluation: Evaluation) -> "Figure":
    found = returns_of(evaluation.result.equity)
    found = found[np.isfinite(found)]
    figure, axes = _figure("Returns of a bar", 3.2)
    axes.hist(found, bins=int(np.clip(2 * np.sqrt(len(found)), 5, 80)), color=POLICY)
    for name, title, color in (("value_at_risk", "VaR 95%", "#a8457f"), ("expected_shortfall", "ES 95%", "#c8501e")):
        place = -evaluation.figures.get(name, float("nan"))
        if np.isfinite(place):
            axes.axvline(place, color=color, linestyle="--", linewidth=1.2, label=title)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    _percent(axes.xaxis, 1)
    return figure


def _exposure(evaluation: Evaluation) -> "Figure":
    table = evaluation.tables.equity
    figure, axes = _over_time("Exposure", 2.8)
    axes.step(table["time"], table["gross"], where="post", color=HOLD, linewidth=1, label="Gross")
    axes.step(table["time"], table["net"], where="post", color=POLICY, linewidth=1.2, label="Net")
    axes.legend(frameon=False, ncols=2)
    _percent(axes.yaxis)
    return figure


def _rolling(evaluation: Evaluation) -> "Figure":
    window, result = sharpe_window(evaluation), evaluation.result
    figure, axes = _over_time(f"Rolling Sharpe ratio, {window:,} bars", 2.8)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.plot(result.time, rolling_sharpe(result.time, result.equity, window), color=POLICY, linewidth=1.4)
    return figure
