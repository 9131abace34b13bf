"""The page of a backtest: one file that opens offline."""

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

import numpy as np

from eval_bridge.evaluation import Evaluation
from eval_bridge.report import curves, panels, shapes
from eval_bridge.report.markup import chart, embed, facts, note, section, text
from eval_bridge.report.plots import Charts

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M1 13 6 7l3 3 6-8' \
fill='none' stroke='%230b62a4' stroke-width='2.4'/%3E%3C/svg%3E"
)
WITHOUT_SCRIPTS = (
    "The charts, sorting and filters of this page need JavaScript. All figures and tables are here without it."
)


def render_report(evaluation: Evaluation) -> str:
    """Return the page of a backtest. It refers to nothing outside itself.

    Args:
        evaluation: The backtest, judged.
    """
    shown = panels.shown_trades(evaluation)
    charts = _charts(evaluation, shown)
    symbols = evaluation.result.table.symbols
    names = ", ".join(symbols[:6]) + (f" and {len(symbols) - 6} more" if len(symbols) > 6 else "")
    time = np.datetime_as_string(evaluation.result.time, unit="D")
    count = len(time) - 1
    lead = (
        f"{evaluation.split.capitalize()} range, {time[0]} to {time[-1]}, "
        f"{count:,} decision{'s' if count != 1 else ''}. "
        f"Decided at the close, filled at {evaluation.about.get('fill', 'the next open')}, all costs included."
    )
    return document(f"Backtest of {names}", lead, _body(evaluation, charts, shown), charts)


def document(title: str, lead: str, sections: list[str], charts: Charts) -> str:
    """Return a page of sections, with the style, the scripts and a policy that forbids everything from outside.

    Args:
        title: Heading, and name of the window.
        lead: What was run, in a sentence or two.
        sections: HTML, in the order of the page.
        charts: What report.js draws.
    """
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # megabytes of text: only when a page is written

    assets = files(__package__) / "assets"
    style, script = (assets.joinpath(name).read_text("utf-8") for name in ("style.css", "report.js"))
    library = get_plotlyjs()
    allowed = " ".join(f"'sha256-{_digest(each)}'" for each in (library, script))
    rules = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
    data = embed({"times": charts.times, "charts": charts.specs})
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{text(rules)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(title)}</title>
<link rel="icon" href="{ICON}">
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the figures</a>
<header>
<div class="head"><h1>{text(title)}</h1>
<button type="button" id="theme" class="control" aria-label="Dark or light colours">Theme</button></div>
<p class="lead">{text(lead)}</p>
<noscript><p class="noscript">{WITHOUT_SCRIPTS}</p></noscript>
</header>
<nav aria-label="Sections" id="sections"></nav>
<main id="main">
{chr(10).join(part for part in sections if part)}
</main>
<footer><p>Written by jaxtrade. This page needs no network and refers to nothing outside itself.</p></footer>
<script type="application/json" id="data">{data}</script>
<script>{library}</script>
<script>{script}</script>
</body>
</html>
"""


def _digest(script: str) -> str:
    """Return what the policy of a page calls a script that it allows."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _charts(evaluation: Evaluation, shown: Any) -> Charts:
    charts = Charts()
    for draw in (curves.equity, curves.exposure, curves.rolling, curves.costs, curves.rewards):
        draw(charts, evaluation)
    for add in (shapes.returns, shapes.null, shapes.stochastic):
        add(charts, evaluation)
    curves.prices(charts, evaluation, shown)
    return charts


def _body(evaluation: Evaluation, charts: Charts, shown: Any) -> list[str]:
    """Return the sections in the order of the page."""

    def place(name: str, title: str, words: str = "", missing: str = "") -> str:
        return chart(name, title, words) if name in charts.specs else note(missing)

    return [
        panels.verdict(evaluation),
        panels.warnings(evaluation),
        section(
            "figures",
            "Figures",
            panels.tiles(evaluation),
            panels.headline(evaluation),
            panels.all_figures(evaluation),
        ),
        section(
            "equity",
            "Equity",
            place("equity", "Equity and rules without skill", _baselines(evaluation)),
            place("drawdown", "Drawdown", "Equity below its highest value so far."),
        ),
        section("trading", "Entries and exits", place("price", "Price", _price_words(evaluation))),
        section(
            "positions",
            "Positions",
            place("exposure", "Exposure", "Net: long less short. Gross: long and short together."),
            place("weights", "Weight by symbol", "Of equity, at the end of every stretch of time."),
        ),
        *_returns(evaluation, place),
        section("costs", "Costs", place("costs", "Costs by kind, summed", "", "The policy paid no costs.")),
        _honesty(evaluation, place),
        section("limits", "Limits that bound", panels.constraints(evaluation)),
        section(
            "rewards", "Rewards", place("rewards", "Reward, summed", "Each reward, evaluated along this backtest.")
        ),
        *_variations(evaluation, place),
        section("trades", "Trades", panels.trades(evaluation, shown)),
        *_records(evaluation),
    ]


def _returns(evaluation: Evaluation, place: Any) -> list[str]:
    window = curves.sharpe_window(evaluation)
    months = shapes.monthly(evaluation)
    words = (
        "Against the normal distribution of the same mean and deviation. VaR: value at risk. ES: expected shortfall."
    )
    distribution = place("returns", "Returns of a bar", words, "There are no returns.")
    sharpe = place("rolling", f"Rolling Sharpe ratio, {window:,} bars", "", "Too few bars for a rolling Sharpe ratio.")
    return [section("returns", "Returns", months, distribution, sharpe)]


def _honesty(evaluation: Evaluation, place: Any) -> str:
    words = "The policy's own positions, moved in time: same trades, same turnover, no foresight."
    return section("skill", "Skill or luck", panels.honesty(evaluation), place("null", "Shift test", words))


def _variations(evaluation: Evaluation, place: Any) -> list[str]:
    """Return what other costs, delays and samples would have done, where they were run."""
    return [
        section("stress", "Stress", shapes.stress(evaluation), note(shapes.break_even(evaluation))),
        section("stochastic", "Sampled actions", place("stochastic", "Total return of sampled runs")),
    ]


def _records(evaluation: Evaluation) -> list[str]:
    """Return the certificate, the leak check, what was run, the configuration and where everything came from."""
    about = evaluation.about
    parity = {name: words for name, words in about.items() if name.startswith("parity")}
    leaks = {name: words for name, words in about.items() if name.startswith("leak")}
    rest = {name: words for name, words in about.items() if name not in parity and name not in leaks}
    config = (
        f"<details><summary>Configuration (YAML)</summary><pre><code>{text(evaluation.config)}</code></pre></details>"
    )
    origin = json.dumps(evaluation.provenance, indent=2, default=str, ensure_ascii=False)
    return [
        section("parity", "Parity certificate", facts("Parity certificate", parity) if parity else ""),
        section("leaks", "Leak check", facts("Leak check", leaks) if leaks else ""),
        section(
            "about",
            "What was run",
            facts("What was run", rest) if rest else "",
            config if evaluation.config else "",
            f"<details><summary>Provenance</summary><pre><code>{text(origin)}</code></pre></details>",
            panels.glossary(),
        ),
    ]


def _baselines(evaluation: Evaluation) -> str:
    return " ".join(f"{each.title}: {each.note.rstrip('.')}." for each in evaluation.baselines.values() if each.note)


def _price_words(evaluation: Evaluation) -> str:
    more = len(evaluation.result.table.symbols) - curves.SYMBOLS
    cut = f" The {curves.SYMBOLS} most traded symbols; {more} more are in the files." if more > 0 else ""
    return f"Triangles: entries, upwards for long, downwards for short. Circles: exits, with a gain or a loss.{cut}"
