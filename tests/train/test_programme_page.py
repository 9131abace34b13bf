"""The page of a programme and of a benchmark as text: what is on it, and that it is true."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jaxtrade.errors import InputError
from tests.bridge.test_report_page import Page
from tests.helpers.programme_sample import CASES, SIGNATURE, VARIANTS, benchmark, equity, summary
from tests.helpers.summary_page import PAGE, generated, keys
from train.programme.benchmark_page import benchmark_text, write_benchmark
from train.programme.page import write_page
from train.programme.page_charts import NUMBERED
from train.programme.page_words import count, duration, growth
from train.programme.read import SUMMARY, parse_summary, read_summary

LIMIT = 6_000_000  # bytes


def written(folder: Path, name: str) -> str:
    return write_page(folder, summary(name), equity(name)).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {name: written(tmp_path_factory.mktemp(name), name) for name in CASES}


def flat(data: Any, prefix: str = "") -> set[str]:
    """Return the dotted keys of JSON, those of lists with []."""
    found: set[str] = set()
    if isinstance(data, list):
        return found.union(*(flat(each, f"{prefix}[]") for each in data))
    for key, value in data.items() if isinstance(data, dict) else ():
        path = f"{prefix}.{key}" if prefix else key
        found |= {path} | flat(value, path)
    return found


def test_the_documented_keys_are_those_of_the_schema_and_of_a_summary() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert generated(page) == page, "run python -m tests.helpers.summary_page"
    documented = {key for key, text in keys() if text}
    free = ("settings[].", "candidates[].settings.", "switches.")  # whatever is varied or switched
    made = {key for key in flat(summary("finished")) if not any(each in key for each in free)}
    assert made == documented
    assert all(f"| `{key}` |" in page for key in made)


def test_a_summary_is_read_back_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"holds no {SUMMARY}: no iteration has ended"):
        read_summary(tmp_path)
    path = tmp_path / SUMMARY
    path.write_text(json.dumps(summary("finished")), encoding="utf-8")
    assert (
        read_summary(tmp_path).honesty.out_of_sample.begin == summary("finished")["iterations"][0]["ranges"]["test"][0]
    )
    path.write_text('{"schema": 1', encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        read_summary(tmp_path)
    bad = summary("finished")
    del bad["iterations"][2]["winner"]["update"]
    with pytest.raises(InputError, match=r"iterations\.2\.winner\.update: field required"):
        parse_summary(bad)
    with pytest.raises(InputError, match=r"schema: input should be 1"):
        parse_summary(summary("finished") | {"schema": 2})
    more = summary("finished") | {"later": 1}
    assert parse_summary(more) == parse_summary(summary("finished"))


@pytest.mark.parametrize("name", CASES)
def test_the_page_says_what_the_summary_says(pages: dict[str, str], name: str) -> None:
    made, page = summary(name), Page(pages[name])
    line = pages[name].split('class="line">')[1].split("</p>")[0]
    if made["honesty"] is None:
        assert line.startswith(f"not finished: {len(made['iterations'])} of {made['planned_iterations']} iterations")
        assert "evidence of skill" not in page.text
    else:
        assert made["honesty"]["verdict"] in page.text
        assert ('class="verdict found"' in pages[name]) == made["honesty"]["significant"]
    assert len(page.ids) == len(set(page.ids))
    places = set(re.findall(r'data-chart="(\w+)"', pages[name]))
    assert places == set(page.data["charts"])
    charts = {"validation", "steps", "time"} if made["iterations"] else set()
    assert places == charts | ({"equity", "drawdown"} if made["finished"] else set())
    assert pages[name].count("Run folder: iteration-") == len(made["iterations"])


def test_the_page_is_small_refers_to_nothing_outside_and_is_the_same_twice(
    pages: dict[str, str], tmp_path: Path
) -> None:
    from plotly.offline import get_plotlyjs

    assert len(pages["long"].encode()) < LIMIT
    page = Page(pages["hostile"])
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert "url(" not in pages["hostile"].replace(get_plotlyjs(), "")
    assert written(tmp_path, "long") == pages["long"]


def test_words_from_outside_stay_words(pages: dict[str, str], tmp_path: Path) -> None:
    bench = write_benchmark(tmp_path, benchmark(SIGNATURE)).read_text(encoding="utf-8")
    for found in (pages["hostile"], bench):
        page = Page(found)
        assert SIGNATURE in page.text  # it is shown
        assert SIGNATURE not in found  # and nowhere written as markup
        assert page.tags.count("script") == 3
        assert not page.handlers
    words = next(
        each for each in Page(pages["hostile"]).data["charts"]["validation"]["traces"] if each["name"] == "Candidate"
    )
    assert "&lt;script&gt;" in words["text"][0]  # of a plot, which reads tags


def cells(page: str, caption: str) -> list[list[tuple[str, str]]]:
    """Return the rows of a table: shown text and what it is sorted by."""
    body = page.split(f"<caption>{caption}</caption>")[1].split("<tbody>")[1].split("</tbody>")[0]
    rows = [re.findall(r"<t[hd]([^>]*)>(.*?)</t[hd]>", row) for row in body.split("</tr>")[:-1]]
    value = re.compile(r'data-value="([^"]*)"')
    return [
        [(re.sub("<[^>]+>", "", body), found[1] if (found := value.search(more)) else "") for more, body in row]
        for row in rows
    ]


def test_each_iteration_has_its_row(pages: dict[str, str]) -> None:
    made, rows = summary("finished"), cells(pages["finished"], "Iterations")
    assert len(rows) == 8
    for row, each in zip(rows, made["iterations"], strict=True):
        shown = [text for text, _ in row]
        ranges, steps, found, out = each["ranges"]["test"], each["steps"], each["validation"], each["out_of_sample"]
        assert shown[:3] == [
            str(each["iteration"]),
            f"{ranges[0][:10]} to {ranges[1][:10]}",
            f"{out['log_growth']:+.4f}",
        ]
        assert row[2][1] == str(out["log_growth"])
        assert shown[6:9] == [
            f"{each['winner']['exact_log_growth']:+.4f}",
            f"{found['iqm']:+.4f}",
            f"{found['low']:.4f} to {found['high']:.4f}",
        ]
        assert shown[9:11] == [each["start"], each["phase"]]
        assert row[11][1] == str(steps["done"])
        assert shown[12:14] == [f"{steps['saved'] / steps['plain']:.0%}", f"{each['early_stopped']} of 4"]
    assert {text for text, _ in (row[2] for row in cells(pages["unfinished"], "Iterations"))} == {"-"}


def test_candidates_settings_and_switches(pages: dict[str, str]) -> None:
    made, rows = summary("finished"), cells(pages["finished"], "All candidates")
    assert len(rows) == 32
    wins = [row[1][0] for row in rows if "winner" in row[1][0]]
    assert wins == [f"{each['winner']['candidate']}, winner" for each in made["iterations"]]
    won = {row[0][0]: row[1][0] for row in cells(pages["finished"], "Settings")}
    assert sum(int(text.split()[0]) for text in won.values()) == 8
    assert "Settings</caption>" not in pages["skilled"]  # only the seed differs
    switches = {row[0][0]: row[1][0] for row in cells(pages["plain"], "Optimisations")}
    assert len(switches) == 6
    assert set(switches.values()) == {"off"}
    assert all(text == "" for text in (row[2][0] for row in cells(pages["plain"], "Optimisations")))
    stops = next(row[2][0] for row in cells(pages["finished"], "Optimisations") if row[0][0] == "Early stopping")
    totals = made["totals"]
    assert stops.startswith(f"{totals['early_stops']} of 32 trainings stopped early; ")
    assert count(totals["steps"]["planned"] - totals["steps"]["done"]) in stops
    phases = {row[0][0]: row[1][0] for row in cells(pages["finished"], "Phases")}
    assert phases == {"exploration": "1 to 3", "refinement": "4 to 6", "exploitation": "7 to 8"}


def test_charts_show_every_candidate_its_interval_and_what_was_saved(pages: dict[str, str]) -> None:
    made, charts = summary("finished"), Page(pages["finished"]).data["charts"]
    traces = {each["name"]: each for each in charts["validation"]["traces"]}
    interval, winner = traces["IQM, 95% interval"], traces["Winner"]
    for n, each in enumerate(made["iterations"]):
        assert interval["y"][n] + interval["error_y"]["array"][n] == pytest.approx(each["validation"]["high"], rel=1e-4)
        assert interval["y"][n] - interval["error_y"]["arrayminus"][n] == pytest.approx(
            each["validation"]["low"], abs=1e-6
        )
        assert winner["y"][n] == each["winner"]["log_growth"]
        place = traces["Candidate"]["x"].index(winner["x"][n])
        assert place == 4 * n + each["winner"]["candidate"]
        assert traces["Out of sample"]["y"][n] == each["out_of_sample"]["log_growth"]
    assert traces["Candidate"]["y"] == [
        c["validation"]["log_growth"] for i in made["iterations"] for c in i["candidates"]
    ]
    stacked = np.array([each["y"] for each in charts["steps"]["traces"]])
    assert stacked.sum(axis=0) == pytest.approx([each["steps"]["plain"] for each in made["iterations"]], rel=1e-5)
    assert stacked[0] == pytest.approx([each["steps"]["done"] for each in made["iterations"]], rel=1e-5)
    missing = Page(pages["undefined"]).data["charts"]["validation"]["traces"]
    assert {each["name"]: len(each["y"]) for each in missing} == {
        "IQM, 95% interval": 0,
        "Candidate": 6,
        "Winner": 2,
        "Out of sample": 2,
    }


def test_an_interval_stands_at_its_own_iteration_where_others_have_none(tmp_path: Path) -> None:
    made = summary("finished")
    made["iterations"][0]["validation"] |= {"iqm": None, "low": None, "high": None}
    page = write_page(tmp_path, made, None).read_text(encoding="utf-8")
    trace = Page(page).data["charts"]["validation"]["traces"][0]
    second = made["iterations"][1]["validation"]
    assert (len(trace["y"]), trace["text"][0]) == (7, "iteration 2")
    assert trace["y"][0] + trace["error_y"]["array"][0] == pytest.approx(second["high"], rel=1e-4)
    one = Page(write_page(tmp_path, summary("single"), None).read_text(encoding="utf-8")).data["charts"]["validation"]
    assert [each["name"] for each in one["traces"]] == ["Candidate", "Winner", "Out of sample"]


@pytest.mark.parametrize(("name", "legs"), [("finished", 8), ("long", 40), ("fixed", 1)])
def test_a_line_stands_where_the_next_window_begins(pages: dict[str, str], name: str, legs: int) -> None:
    chart, table = Page(pages[name]).data["charts"]["equity"], equity(name)
    starts = table.groupby("leg")["time"].min().iloc[1:]
    assert [each["x0"] for each in chart["layout"]["shapes"]] == [str(time)[:19] for time in starts]
    numbers = [int(each["text"]) for each in chart["layout"]["annotations"]]
    assert numbers == ([] if legs == 1 else list(range(1, legs + 1, -(-legs // NUMBERED))))


def test_figures_that_are_not_defined_or_of_numpy(tmp_path: Path) -> None:
    made = copy.deepcopy(summary("finished"))
    made["iterations"][0]["out_of_sample"]["sharpe"] = np.float64("nan")
    made["iterations"][0]["steps"]["done"] = np.int64(made["iterations"][0]["steps"]["done"])
    made["totals"]["validation"]["iqm"] = np.float32(0.25)
    page = write_page(tmp_path, made, equity("finished")).read_text(encoding="utf-8")
    assert cells(page, "Iterations")[0][3] == ("-", "")
    assert '<dd class="value">+0.2500</dd>' in page


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_page(tmp_path, summary("empty"), None)
    before = path.read_bytes()
    bad = summary("empty")
    del bad["totals"]
    with pytest.raises(InputError, match="totals: field required"):
        write_page(tmp_path, bad, None)

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_page(tmp_path, summary("finished"), None)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["programme.html"]


def test_words_for_numbers() -> None:
    assert [count(value) for value in (0, 950, 65_536, 999_499, 999_600, 319e6, None)] == [
        "0", "950", "65.5 k", "999 k", "1.00 M", "319 M", "-",
    ]  # fmt: skip
    assert [duration(value) for value in (0.04, 59.96, 61, 3599.6, 3900, None)] == [
        "0.0 s", "1 min 00 s", "1 min 01 s", "1 h 00 min", "1 h 05 min", "-",
    ]  # fmt: skip
    assert [growth(value) for value in (0.03, -1e-9, -0.5, None)] == ["+0.0300", "0.0000", "-0.5000", "-"]


def test_the_benchmark_as_text_and_as_a_page(tmp_path: Path) -> None:
    record = benchmark()
    lines = benchmark_text(record).splitlines()
    assert [line.split()[0] for line in lines[1:9]] == list(VARIANTS)
    assert len({len(line) for line in lines[:9]}) == 1
    assert "5.3x" in lines[1]
    assert "overlaps" in lines[1]
    assert [line.split()[-2] for line in lines[2:5]] == ["-", "overlaps", "better"]
    assert "worse" in lines[6]
    assert lines[-1] == record["verdict"]
    page = write_benchmark(tmp_path, record).read_text(encoding="utf-8")
    assert 'class="verdict found"' in page
    assert [row[0][0] for row in cells(page, "Variants")] == list(VARIANTS)
    point = Page(page).data["charts"]["quality"]["traces"][0]
    ends = [middle + more for middle, more in zip(point["x"], point["error_x"]["array"], strict=True)]
    assert ends == pytest.approx([each["validation"]["high"] for each in record["variants"]])
    band = Page(page).data["charts"]["quality"]["layout"]["shapes"][0]
    assert (band["x0"], band["x1"]) == tuple(record["variants"][1]["validation"][name] for name in ("low", "high"))
    worse = benchmark()
    worse["variants"][0]["against_plain"] |= {"overlaps": False, "better": False}
    assert 'class="verdict none"' in write_benchmark(tmp_path, worse).read_text(encoding="utf-8")
    del record["variants"][0]["steps"]
    with pytest.raises(InputError, match=r"benchmark\.json: variants\.0\.steps: field required"):
        benchmark_text(record)


def test_equity_is_drawn_at_its_true_values(pages: dict[str, str]) -> None:
    table = equity("finished")
    assert isinstance(table, pd.DataFrame)
    mine = next(
        each for each in Page(pages["finished"]).data["charts"]["equity"]["traces"] if each["name"] == "Programme"
    )
    assert (max(mine["y"]), mine["y"][-1]) == pytest.approx((table["equity"].max(), table["equity"].iloc[-1]), rel=1e-5)
