"""The page of a training programme: one file that opens offline, made of programme_summary.json and the account."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval_bridge.files import clean
from eval_bridge.report.markup import chart, note, section
from eval_bridge.report.page import document
from eval_bridge.report.plots import Charts
from jaxtrade.errors import InputError
from train.programme import page_iterations as rounds
from train.programme import page_tables as tables
from train.programme.page_charts import draw
from train.programme.page_words import span
from train.programme.read import SUMMARY, parse_summary
from train.programme.schema import Summary

if TYPE_CHECKING:
    import pandas as pd

PAGE = "programme.html"
STITCHED = (
    "One account over all test ranges; dotted lines: the next window's winner takes over, and the account carries on. "
    "The numbers are those of the windows."
)
ALONE = "The account of the one policy that traded, over its test range."
STRIP = (
    "Small dots: the best validation of each candidate. The winner is chosen by them, so it looks better than it is; "
    "the diamond is what its policy then did out of sample, over the bars of its test range."
)
SAVED = "All candidates together. The height of a bar is the plain schedule: every candidate, every update."


def write_page(folder: Path, summary: dict[str, Any], equity: "pd.DataFrame | None") -> Path:
    """Write programme.html in place of what lies there; return its path.

    Args:
        folder: The programme's folder.
        summary: What programme_summary.json holds; the programme may be unfinished.
        equity: The stitched account, None while there is none: time, equity, buy_and_hold, leg (1, 2, ...).

    Raises:
        InputError: The summary is not what the schema says, or the file cannot be written.
    """
    return write_text(folder / PAGE, render_page(parse_summary(clean(summary), folder / SUMMARY), equity))


def write_text(path: Path, text: str) -> Path:
    """Write a text file, whole or not at all; return its path.

    Raises:
        InputError: It cannot be written.
    """
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise InputError(
            path, f"cannot be written ({error.strerror})", "Choose a folder that exists and can be written"
        ) from None
    return path


def render_page(summary: Summary, equity: "pd.DataFrame | None") -> str:
    """Return the page of a programme. It refers to nothing outside itself.

    Args:
        summary: The programme.
        equity: The stitched account, or None.
    """
    charts = draw(summary, equity)
    names = ", ".join(summary.symbols[:6])
    more = f" and {len(summary.symbols) - 6} more" if len(summary.symbols) > 6 else ""
    count = summary.candidates
    lead = (
        f"{tables.progress(summary).capitalize()} on {names}{more}, {summary.network}, "
        f"{count} candidate{'' if count == 1 else 's'} each. {_traded(summary)}"
    )
    return document(f"Training programme {summary.name}", lead, _body(summary, equity, charts), charts)


def _traded(summary: Summary) -> str:
    if summary.honesty is None:
        return "Not finished."
    made = summary.honesty.out_of_sample
    return f"Traded out of sample {span((made.begin, made.until))}, all costs included."


def _body(summary: Summary, equity: "pd.DataFrame | None", charts: Charts) -> list[str]:
    """Return the sections in the order of the page."""

    def place(name: str, title: str, words: str = "") -> str:
        return chart(name, title, words) if name in charts.specs else ""

    legs = 0 if equity is None else equity["leg"].nunique()
    account = place("equity", "Equity, stitched out of sample", STITCHED if legs > 1 else ALONE)
    drawdown = place("drawdown", "Drawdown", "Equity below its highest value so far.")
    missing = "" if account else note("The stitched account is drawn when the programme is finished.")
    return [
        tables.verdict(summary),
        section("figures", "At a glance", tables.tiles(summary, equity)),
        section("equity", "Out of sample", account, drawdown, missing),
        section(
            "iterations",
            "Iterations",
            rounds.iterations(summary),
            place("validation", "Validation and out of sample", STRIP),
            rounds.candidates(summary),
            rounds.phases(summary),
        ),
        section("settings", "What was varied", rounds.settings(summary)),
        section(
            "savings",
            "What the optimisations saved",
            tables.switches(summary),
            place("steps", "Steps", SAVED),
            place("time", "Time", "Wall clock of every iteration, in seconds."),
        ),
        section("skill", "Skill or luck", tables.honesty(summary)),
        section("about", "What was run", tables.about(summary)),
    ]
