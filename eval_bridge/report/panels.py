"""The tables and texts of a backtest's page."""

from typing import TYPE_CHECKING, Any

import numpy as np

from eval_bridge.evaluation import Evaluation
from eval_bridge.metrics.catalog import FIGURES, GROUPS, Figure
from eval_bridge.report.figures import HEADLINE, UNDEFINED, format_figure, format_interval
from eval_bridge.report.markup import Cell, facts, note, table, text

if TYPE_CHECKING:
    import pandas as pd

TRADES = 2000  # rows of the trades table
TILES = ("total_return", "annual_return", "sharpe", "max_drawdown", "annual_volatility", "turnover_per_year")
TRADE_COLUMNS = {  # of the trades table: title, kind
    "symbol": ("Symbol", "text"),
    "side": ("Side", "text"),
    "quantity": ("Quantity", "amount"),
    "entry_time": ("Entry", "time"),
    "exit_time": ("Exit", "time"),
    "bars_held": ("Bars", "count"),
    "entry_price": ("Entry price", "amount"),
    "exit_price": ("Exit price", "amount"),
    "fees": ("Fees", "money"),
    "slippage": ("Slippage", "money"),
    "profit": ("Profit", "money"),
    "return": ("Return", "percent"),
    "mae": ("MAE", "percent"),
    "mfe": ("MFE", "percent"),
    "closed_by": ("Closed by", "text"),
}


def verdict(evaluation: Evaluation) -> str:
    """Return the line that no option removes, with its p-value explained."""
    honesty, words = evaluation.honesty, evaluation.verdict
    found = "found" if honesty.get("significant") else "none"
    return (
        f'<section id="verdict" class="verdict {found}" aria-label="Verdict"><p class="line">{text(words)}</p>'
        f'<p class="why">{text(explain(honesty.get("p_value")))}</p></section>'
    )


def explain(p_value: float | None) -> str:
    """Return what a p-value says, in a sentence."""
    rule = "It is the larger of the p-value of the shifted positions and one minus the deflated Sharpe ratio."
    if p_value is None or not np.isfinite(p_value) or p_value >= 0.995:
        return f"p = 1: nothing in this backtest speaks against luck. {rule}"
    chance = f"about {100 * p_value:.2g}%" if p_value >= 0.0001 else "less than 0.01%"
    return f"p = {p_value:.2g}: without any skill, a result at least this good has a probability of {chance}. {rule}"


def warnings(evaluation: Evaluation) -> str:
    """Return the warnings, above everything else."""
    items = "".join(f"<li>{text(warning)}</li>" for warning in evaluation.warnings)
    return f'<aside class="warnings" aria-label="Warnings"><h2>Warnings</h2><ul>{items}</ul></aside>' if items else ""


def tiles(evaluation: Evaluation) -> str:
    """Return the figures that are looked at first, each with its interval and buy and hold beside it."""
    hold = evaluation.baselines.get("buy_and_hold")
    parts = []
    for name in TILES:
        figure = FIGURES[name]
        interval = format_interval((evaluation.honesty.get("intervals") or {}).get(name), figure.kind)
        beside = format_figure(hold.figures.get(name), figure.kind) if hold else UNDEFINED
        parts.append(
            f'<div class="tile"><dt>{text(figure.title)}</dt><dd class="value">'
            f"{text(format_figure(evaluation.figures.get(name), figure.kind))}</dd>"
            f'<dd class="interval">{text(interval) if interval else "&nbsp;"}</dd>'
            f'<dd class="beside">Buy and hold {text(beside)}</dd></div>'
        )
    level = f"{evaluation.honesty.get('interval_level', 0.95):.0%}"
    words = f"Under a figure: its {level} interval, by stationary bootstrap of the returns, where there is one."
    return f'<dl class="tiles">{"".join(parts)}</dl>{note(words)}'


def headline(evaluation: Evaluation) -> str:
    """Return the figures that matter most, the baselines beside the policy, and the interval of each that has one."""
    rows = [_figure(evaluation, FIGURES[name]) for name in HEADLINE if _known(evaluation, name)]
    return table(
        "Figures of the policy and of rules without skill", _head(evaluation), rows, "figures headline numbers"
    )


def all_figures(evaluation: Evaluation) -> str:
    """Return all figures, by group."""
    rows: list[list[Cell | str]] = []
    for group, title in GROUPS.items():
        chosen = [figure for figure in FIGURES.values() if figure.group == group and _known(evaluation, figure.name)]
        if chosen:
            rows += [[Cell(title)], *(_figure(evaluation, each) for each in chosen)]
    head = _head(evaluation)
    found = table("All figures", head, rows, "figures numbers", len(head))
    return f"<details><summary>All figures</summary>{found}</details>"


def _head(evaluation: Evaluation) -> list[Cell | str]:
    level = evaluation.honesty.get("interval_level", 0.95)
    baselines = (Cell(each.title, each.note) for each in evaluation.baselines.values())
    return ["Figure", "Policy", f"{level:.0%} interval", *baselines]


def _known(evaluation: Evaluation, name: str) -> bool:
    return name in evaluation.figures or name in evaluation.undefined


def _figure(evaluation: Evaluation, figure: Figure) -> list[Cell | str]:
    value = evaluation.figures.get(figure.name, float("nan"))
    reason = "" if np.isfinite(value) else evaluation.undefined.get(figure.name, "Not defined")
    interval = (evaluation.honesty.get("intervals") or {}).get(figure.name)
    beside = [_beside(each.figures.get(figure.name), figure.kind) for each in evaluation.baselines.values()]
    mine = Cell(format_figure(value, figure.kind), reason)
    return [Cell(figure.title, figure.convention), mine, format_interval(interval, figure.kind), *beside]


def _beside(value: float | None, kind: str) -> Cell:
    """Return a figure of a baseline; an empty cell where it has no such figure at all."""
    if value is None:
        return Cell("")
    return Cell(format_figure(value, kind), "" if np.isfinite(value) else "Not defined for this rule")


def glossary() -> str:
    """Return the conventions of all figures, for those who read them at once or on paper."""
    rows = {figure.title: figure.convention for figure in FIGURES.values()}
    return f"<details><summary>Conventions of all figures</summary>{facts('Conventions', rows)}</details>"


HONESTY = {  # of the honesty table: title, kind, what it says
    "p_value": ("p-value, declared", "p", "The larger of the two p-values below; the verdict rests on it alone."),
    "shift_p_value": (
        "p-value of the shift null",
        "p",
        "(1 + shifts at least as good) / (1 + shifts): the policy's own positions, moved in time, keep their turnover.",
    ),
    "probabilistic_sharpe": (
        "Probabilistic Sharpe ratio",
        "percent",
        "Probability that the true Sharpe ratio is above zero, given length, skew and kurtosis of the returns.",
    ),
    "deflated_sharpe": (
        "Deflated Sharpe ratio",
        "percent",
        "The same, above the best Sharpe ratio that as many trials without skill would be expected to reach.",
    ),
    "shift_observed": ("Sharpe ratio of this backtest", "ratio", "A year; the shifted positions are held against it."),
    "shift_median": ("Sharpe ratio of the shifts, median", "ratio", "A year; half of the shifts do better."),
    "shift_high": ("Sharpe ratio of the shifts, 95%", "ratio", "A year; one shift in twenty does better."),
    "shift_shifts": ("Shifts", "count", "By how many different stretches of time the positions were moved."),
    "trials": ("Trials on this data", "count", "Policies tried on these bars, as the trial ledger counts them."),
    "trial_sharpe_deviation": (
        "Deviation of the trials' Sharpe ratios",
        "ratio",
        "A year; over the trials that were evaluated on these bars.",
    ),
    "sharpe_threshold": (
        "Sharpe ratio to be beaten",
        "ratio",
        "A year; the best expected of as many trials without skill.",
    ),
    "sharpe_standard_error": ("Standard error of the Sharpe ratio", "ratio", "A year; allows for skew and kurtosis."),
    "track_record_years": ("Track record", "years", "Length of this backtest."),
    "minimum_track_record_years": (
        "Minimum track record",
        "years",
        "Years after which a Sharpe ratio like this one would be significant at 5%.",
    ),
    "minimum_backtest_length_years": (
        "Minimum backtest length",
        "years",
        "Years below which as many trials without skill are expected to find a Sharpe ratio of one.",
    ),
    "correlation_with_buy_and_hold": (
        "Correlation with buy and hold",
        "ratio",
        "Of the returns; near 1, it is the market.",
    ),
    "resamples": ("Bootstrap resamples", "count", "Stationary bootstrap of the returns, for the intervals."),
    "block_length": ("Mean block length", "bars", "Of the stationary bootstrap."),
}


def honesty(evaluation: Evaluation) -> str:
    """Return the table of what speaks for skill and for luck."""
    found = dict(evaluation.honesty)
    found |= {f"shift_{name}": value for name, value in (found.get("shift_null") or {}).items()}
    reasons = found.get("undefined") or {}
    rows = [
        [title, _evidence(found.get(name), kind, reasons.get(name.replace("shift_", "shift_null."))), words]
        for name, (title, kind, words) in HONESTY.items()
        if name in found
    ]
    return table("Skill or luck", ["Evidence", "Value", "Meaning"], rows, "numbers evidence")


def _evidence(value: Any, kind: str, reason: str | None) -> Cell:
    written = plain(value, kind)
    return Cell(written, reason or "Not defined" if written == UNDEFINED else "")


def plain(value: Any, kind: str) -> str:
    """Return a number of the honesty table as text."""
    if value is None or not np.isfinite(value):
        return UNDEFINED
    patterns = {"p": "{:.4f}", "years": "{:,.1f} years", "bars": "{:,.1f} bars"}
    return patterns[kind].format(value) if kind in patterns else format_figure(value, kind)


def constraints(evaluation: Evaluation) -> str:
    """Return how often each limit bound."""
    names = {name: name.replace("_", " ") for name in evaluation.constraints}
    rows = [[names[name], f"{count:,}"] for name, count in evaluation.constraints.items() if count]
    if not rows:
        return note("No limit of the rules changed an order.")
    never = ", ".join(names[name] for name, count in evaluation.constraints.items() if not count)
    words = note(f"Never bound: {never}.") if never else ""
    return table("Orders that a limit changed", ["Limit", "Orders"], rows, "numbers narrow") + words


def shown_trades(evaluation: Evaluation) -> "pd.DataFrame":
    """Return the trades of the page: all, or those with the largest profits and losses, in the order of their entry."""
    table_, count = evaluation.tables.trades, len(evaluation.tables.trades)
    if count <= TRADES:
        return table_
    largest = np.argsort(-table_["profit"].abs().fillna(0.0).to_numpy(), kind="stable")[:TRADES]
    return table_.iloc[np.sort(largest)]


def trades(evaluation: Evaluation, shown: "pd.DataFrame") -> str:
    """Return the table of trades; report.js sorts and filters it."""
    total = len(evaluation.tables.trades)
    if not total:
        return note("The policy never traded.")
    head = "".join(
        f'<th scope="col" aria-sort="none"><button type="button" data-sort="{n}">{text(title)}</button></th>'
        for n, (title, _) in enumerate(TRADE_COLUMNS.values())
    )
    columns = [[_entry(value, kind) for value in shown[name]] for name, (_, kind) in TRADE_COLUMNS.items()]
    rows = "".join("<tr><td>" + "<td>".join(cells) for cells in zip(*columns, strict=True))
    words = (
        f"{total:,} trades."
        if total == len(shown)
        else (
            f"The {len(shown):,} trades with the largest profits and losses, of {total:,}; "
            "all of them are in the file of trades beside this page."
        )
    )
    return (
        f'{note(words)}<div class="tools filters" data-for="trades"></div>'
        '<div class="scroll tall" tabindex="0" role="region" aria-label="Trades">'
        f'<table class="numbers sortable" id="trades-table"><caption>Trades</caption><thead><tr>{head}</tr></thead>'
        f'<tbody>{rows}</tbody></table></div><p class="note" id="trades-count" aria-live="polite"></p>'
    )


def _entry(value: Any, kind: str) -> str:
    """Return a cell of the trades table as HTML."""
    if kind == "text":
        return text(value)
    if kind == "time":
        moment = str(value)
        return "open" if moment == "NaT" else text(moment[:16].replace("T", " ").removesuffix(" 00:00"))
    if kind == "amount":
        return f"{value:,.6g}" if np.isfinite(value) and abs(value) < 1e6 else format_figure(value, "ratio")
    return format_figure(value, kind)
