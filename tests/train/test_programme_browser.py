"""The pages of a programme and of a benchmark in a real browser: drawn, quiet, offline, and they fit."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import browser
from tests.helpers.programme_sample import CASES, SIGNATURE, benchmark, equity, summary
from train.programme.benchmark_page import write_benchmark
from train.programme.page import write_page

HEAVY = pytest.mark.nightly
OPENED = ["finished", *(pytest.param(name, marks=HEAVY) for name in CASES if name != "finished")]
ORDER = "return [...document.querySelector('#iterations table').tBodies[0].rows].map((row) => row.cells[0].textContent)"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started = browser.start(tmp_path_factory.mktemp("profile"))
    yield started
    started.quit()


def faults(driver: Any, path: Path) -> dict[str, Any]:
    """What is wrong with a page."""
    browser.open_page(driver, path)
    browser.draw(driver)
    found = {
        "console": browser.console_errors(driver),
        "requests": browser.requests(driver),
        "empty": browser.empty_plots(driver),
        "stolen": driver.execute_script("return window.stolen !== undefined"),
        "sideways": driver.execute_script("return document.documentElement.scrollWidth > window.innerWidth"),
    }
    return {kind: each for kind, each in found.items() if each}


@pytest.mark.parametrize("name", OPENED)
def test_a_browser_draws_everything_and_asks_for_nothing(driver: Any, tmp_path: Path, name: str) -> None:
    browser.show_media(driver, "light")
    browser.show_width(driver, 1280, 900)
    path = write_page(tmp_path, summary(name), equity(name))
    assert faults(driver, path) == {}
    if name == "finished":
        browser.click(driver, "#iterations th:nth-child(3) button")
        grown = {str(each["iteration"]): each["out_of_sample"]["log_growth"] for each in summary(name)["iterations"]}
        assert driver.execute_script(ORDER) == sorted(grown, key=grown.__getitem__)
        browser.click(driver, "#iterations th:nth-child(12) button")  # shown as 4.46 M
        steps = {str(each["iteration"]): each["steps"]["done"] for each in summary(name)["iterations"]}
        assert [steps[number] for number in driver.execute_script(ORDER)] == sorted(steps.values())


@HEAVY
@pytest.mark.parametrize("name", ["finished", "long", "hostile", "unfinished"])
def test_a_phone_dark_colours_and_paper(driver: Any, tmp_path: Path, name: str) -> None:
    path = write_page(tmp_path, summary(name), equity(name))
    browser.show_media(driver, "dark")
    browser.show_width(driver, 390, 844, phone=True)
    assert faults(driver, path) == {}
    browser.show_width(driver, 1280, 900)
    assert faults(driver, path) == {}
    paper = browser.print_page(driver)
    assert 3 <= len(re.findall(rb"/Type /Page\b", paper)) <= 12
    assert browser.console_errors(driver) == []


@HEAVY
def test_a_browser_shows_the_benchmark(driver: Any, tmp_path: Path) -> None:
    for record in (
        benchmark(),
        benchmark(SIGNATURE),
        benchmark(variants=("optimised", "plain")),
        benchmark(variants=()),
    ):
        path = write_benchmark(tmp_path, record)
        for width in (1280, 390):
            browser.show_width(driver, width, 900, phone=width == 390)
            assert faults(driver, path) == {}
