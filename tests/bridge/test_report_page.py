"""The report as text: what is on it, that nothing on it comes from outside, that it is small enough."""

import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_bridge.evaluation import Evaluation
from eval_bridge.report import format_figure, render_comparison, render_report, write_plots
from eval_bridge.report.panels import TRADES, explain
from eval_bridge.report.thinning import POINTS, pack_time, rows_to_keep, short
from tests.helpers.report_cases import CASES, SIGNATURE, comparison, evaluation

LIMIT = 6_000_000  # bytes
ROOM = 1_100_000  # bytes of it that are not the library's
QUICK = [name for name in CASES if name != "wide"]


class Page(HTMLParser):
    """Elements, addresses and words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.ids: list[str] = []
        self.handlers: list[str] = []
        self._in = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._in = tag
        values = {name: value or "" for name, value in attrs}
        self.addresses += [values[name] for name in ("src", "href", "action", "data", "poster") if name in values]
        self.handlers += [name for name in values if name.startswith("on")]
        self.ids += [values["id"]] if "id" in values else []

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        (self.scripts if self._in == "script" else self.words).append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[0])


@pytest.fixture(scope="module")
def pages() -> dict[str, tuple[Evaluation, str]]:
    made = {name: evaluation(name) for name in QUICK}
    return {name: (each, render_report(each)) for name, each in made.items()}


@pytest.mark.parametrize("name", QUICK)
def test_the_page_holds_everything(pages: dict[str, tuple[Evaluation, str]], name: str) -> None:
    given, written = pages[name]
    page = Page(written)
    assert given.verdict in page.text
    assert all(warning in page.text for warning in given.warnings)
    assert given.config.strip() in page.text
    assert all(words in page.text for words in given.about.values())
    assert all(reason in written for reason in given.undefined.values())
    assert len(page.ids) == len(set(page.ids))
    places = set(re.findall(r'data-chart="(\w+)"', written))
    assert places == set(page.data["charts"])
    assert {"equity", "drawdown", "price", "exposure", "returns"} <= places
    assert ("weights" in places) == (len(CASES[name].symbols) > 1)


@pytest.mark.parametrize("name", QUICK)
def test_the_page_is_small_and_refers_to_nothing_outside(pages: dict[str, tuple[Evaluation, str]], name: str) -> None:
    from plotly.offline import get_plotlyjs

    written = pages[name][1]
    size = len(written.encode())
    assert size < LIMIT
    assert size - len(get_plotlyjs().encode()) < ROOM
    page = Page(written)
    assert all(address.startswith(("data:", "#")) for address in page.addresses), page.addresses
    own = written.replace(get_plotlyjs(), "")
    assert "url(" not in own
    assert "@import" not in own
    assert "default-src &#x27;none&#x27;" in own


def test_intervals_limits_and_what_was_not_run(pages: dict[str, tuple[Evaluation, str]]) -> None:
    single, panel = (Page(pages[name][1]) for name in ("single", "panel"))
    assert single.text.count("-0.52 to 1.91") == 3  # in the tile, the table and all figures
    assert "Never bound: funds." in single.text
    assert "No limit of the rules changed an order." in Page(pages["cash"][1]).text
    assert "The policy never traded." in Page(pages["cash"][1]).text
    assert "Too few bars for a rolling Sharpe ratio." in Page(pages["one"][1]).text
    assert "Break-even cost: 1.74 times the costs" in panel.text
    assert {"stress", "stochastic"} <= set(panel.ids)
    assert not {"stress", "stochastic"} & set(single.ids)


def test_a_page_without_what_may_be_missing() -> None:
    given = evaluation("one")
    bare = replace(given, honesty={"verdict": "no evidence of skill: p = 1"}, baselines={}, config="", provenance={})
    page = Page(render_report(bare))
    assert "no evidence of skill: p = 1" in page.text
    assert "null" not in page.data["charts"]
    none = replace(evaluation("panel"), break_even=None)
    assert "Break-even cost: none" in render_report(none)
    free = replace(evaluation("panel"), break_even=0.0)
    assert "not above zero even without costs" in render_report(free)


@pytest.mark.nightly
def test_the_largest_page_is_small_enough() -> None:
    written = render_report(evaluation("wide"))
    assert len(written.encode()) < LIMIT
    assert "16 more are in the files" in written


def test_words_from_outside_stay_words(pages: dict[str, tuple[Evaluation, str]]) -> None:
    page = Page(pages["hostile"][1])
    plain = Page(pages["panel"][1])
    assert SIGNATURE in page.text  # it is shown
    assert SIGNATURE not in pages["hostile"][1]  # and nowhere written as markup
    assert page.tags.count("script") == plain.tags.count("script") == 3
    assert "img" not in page.tags
    assert not page.handlers
    assert page.data["charts"]["price"]["choices"][0]["name"] in CASES["hostile"].symbols
    names = next(trace["y"] for trace in page.data["charts"]["weights"]["traces"])
    assert names[0] == "&lt;script&gt;window.stolen = true&lt;/script&gt;"  # of a plot, which reads tags


def test_a_comparison_shows_every_run() -> None:
    given = comparison()
    written = render_comparison(given)
    page = Page(written)
    assert all(name in page.text for name in given.names)
    assert page.text.count(given.honesty["gold-7"]["verdict"]) == len(given.names)
    assert SIGNATURE not in written
    assert set(page.data["charts"]) == {"equity", "drawdown"}
    assert len(page.data["charts"]["equity"]["traces"]) == len(given.names) + 1
    assert "0.31" in page.text  # superior predictive ability


def test_the_same_evaluation_gives_the_same_page() -> None:
    assert render_report(evaluation("panel")) == render_report(evaluation("panel"))


def test_many_trades_become_the_largest(pages: dict[str, tuple[Evaluation, str]]) -> None:
    given, written = pages["long"]
    body = written.split('id="trades-table"')[1].split("<tbody>")[1].split("</tbody>")[0]
    assert body.count("<tr>") == TRADES
    assert "of 20,000; all of them are in the file of trades" in written
    sizes = given.tables.trades["profit"].abs().sort_values(ascending=False)
    assert format_figure(given.tables.trades["profit"][sizes.index[0]], "money") in body
    single = pages["single"][1].split('id="trades-table"')[1].split("</tbody>")[0]
    assert single.count("<tr><td>") == len(pages["single"][0].tables.trades)
    assert "60 trades." in pages["single"][1]


def test_all_extremes_of_a_long_series_are_drawn(pages: dict[str, tuple[Evaluation, str]]) -> None:
    given, written = pages["long"]
    charts, times = Page(written).data["charts"], Page(written).data["times"]
    policy = next(each for each in charts["equity"]["traces"] if each["name"] == "Policy")
    assert len(policy["y"]) == len(times["equity"]["steps"]) + 1 <= POINTS
    for measure in (np.min, np.max):
        assert np.isclose(measure(policy["y"]), measure(given.result.equity), rtol=1e-5)
    depth = next(each for each in charts["drawdown"]["traces"] if each["name"] == "Policy")["y"]
    assert min(depth) == pytest.approx(-given.figures["max_drawdown"], rel=1e-3)


@pytest.mark.parametrize("columns", [1, 3, 6])
def test_thinning_keeps_every_peak_and_trough_of_a_bucket(columns: int) -> None:
    generator = np.random.default_rng(3)
    series = np.cumsum(generator.normal(size=(columns, 30_000)), axis=1)
    spikes = generator.choice(np.arange(1, 29_999), 3, replace=False)
    series[0, spikes] += (1e4, -1e4, 2e4)
    series[-1, :700] = np.nan
    rows = rows_to_keep(list(series))
    assert len(rows) <= POINTS
    assert (rows[0], rows[-1]) == (0, 29_999)
    assert np.all(np.diff(rows) > 0)
    assert np.isin(spikes, rows).all()
    for one in series:
        assert np.nanmax(one[rows]) == np.nanmax(one)
        assert np.nanmin(one[rows]) == np.nanmin(one)
    gap = 2 * 30_000 * 2 * columns / POINTS  # two buckets
    assert np.max(np.diff(rows)) <= gap + 2


def test_short_series_are_drawn_whole() -> None:
    assert rows_to_keep([np.arange(POINTS)]).tolist() == list(range(POINTS))
    assert rows_to_keep([np.zeros(1)]).tolist() == [0]


@pytest.mark.parametrize("unit", ["D", "h", "m", "s", "ms", "us"])
def test_times_come_back_as_they_were(unit: str) -> None:
    steps = np.random.default_rng(4).integers(1, 9, 50) * (1000 if unit == "us" else 1)
    time = np.datetime64("2019-03-29", unit) + np.cumsum(steps) * np.timedelta64(1, unit)
    packed = pack_time(time)
    back = packed["start"] + packed["unit"] * np.concatenate([[0], np.cumsum(packed["steps"])])
    assert np.array_equal(back.astype("datetime64[ms]"), time.astype("datetime64[ms]"))
    assert max(packed["steps"]) < 9 * 24
    assert pack_time(time[:1])["steps"] == []


def test_numbers_are_short() -> None:
    assert short([1.23456789, 123456.7, 2e-9, np.nan, np.inf, 0.0]) == [1.23457, 123457, 2e-9, None, None, 0]


@pytest.mark.parametrize(
    ("value", "kind", "written"),
    [
        (1234.5, "money", "1,234.50"),
        (-0.0001, "money", "0.00"),
        (0.12345, "percent", "12.35%"),
        (-0.5, "percent", "-50.00%"),
        (float("nan"), "ratio", "-"),
        (None, "count", "-"),
        (float("inf"), "ratio", "-"),
        (12.0, "count", "12"),
        (3.14159, "ratio", "3.14"),
        (2.5e9, "ratio", "2.5e+09"),
        (21.5, "days", "21.5"),
    ],
)
def test_figures_as_text(value: float | None, kind: str, written: str) -> None:
    assert format_figure(value, kind) == written


@pytest.mark.parametrize(
    ("p_value", "words"),
    [(0.3124, "about 31%"), (0.012, "about 1.2%"), (0.00001, "less than 0.01%"), (1.0, "p = 1:"), (None, "p = 1:")],
)
def test_the_p_value_is_explained(p_value: float | None, words: str) -> None:
    assert words in explain(p_value)


@pytest.mark.parametrize("name", ["panel", "ruin", "cash", "one"])
def test_pictures_have_the_same_bytes_every_time(tmp_path: Path, name: str) -> None:
    given = evaluation(name)
    paths = write_plots(given, tmp_path / "a")
    names = {path.name for path in paths}
    assert {"equity.png", "drawdown.png", "monthly.png", "returns.png", "exposure.png"} <= names
    assert ("rolling_sharpe.png" in names) == (name in ("panel", "cash"))
    if name == "panel":
        for path, again in zip(paths, write_plots(given, tmp_path / "b"), strict=True):
            assert path.read_bytes() == again.read_bytes(), path.name
            assert path.read_bytes().startswith(b"\x89PNG")


def luminance(color: str) -> float:
    """Relative luminance by WCAG 2."""
    parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["color-scheme: light", "color-scheme: dark"])
def test_words_stand_out_from_what_is_behind_them(theme: str) -> None:
    style = (files("eval_bridge.report") / "assets" / "style.css").read_text("utf-8")
    blocks = [block for block in style.split("}") if theme in block]
    assert len(blocks) == (1 if "light" in theme else 2)  # dark: of the system, and of the button
    for block in blocks:
        colors = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
        for word, ground in itertools.product(("ink", "muted", "policy", "gain", "loss"), ("page", "surface")):
            pair = sorted((luminance(colors[word]), luminance(colors[ground])))
            ratio = (pair[1] + 0.05) / (pair[0] + 0.05)
            assert ratio >= (4.5 if word in ("ink", "muted") else 3), (theme, word, ground, ratio)
    assert len({block.split("{")[-1].replace(" ", "").strip() for block in blocks}) == 1
