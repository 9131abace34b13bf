"""The report in a real browser: nothing goes wrong, nothing is fetched, everything is drawn, and it answers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eval_bridge.report import render_comparison, render_report
from tests.helpers import browser
from tests.helpers.report_cases import comparison, evaluation

CASES = ("panel", "hostile", "comparison")
MORE = ("one", "single", "ruin", "cash", "long")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, as files."""
    path = tmp_path_factory.mktemp("pages")
    for name in CASES + MORE:
        page = render_comparison(comparison()) if name == "comparison" else render_report(evaluation(name))
        (path / f"{name}.html").write_text(page, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def driver(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser for all tests."""
    started = browser.start(tmp_path_factory.mktemp("profile"))
    yield started
    started.quit()


@pytest.fixture
def panel(driver: Any, folder: Path) -> Any:
    """The browser, showing the page of the panel as it was just opened."""
    browser.show_width(driver, 1280, 900)
    browser.show_media(driver, "light")
    browser.open_page(driver, folder / "panel.html")
    return driver


def faults(driver: Any, seconds: float = 6.0) -> dict[str, list[str]]:
    """What is wrong with the page that is shown; each plot has its seconds."""
    browser.draw(driver, seconds=seconds)
    found = {
        "console": browser.console_errors(driver),
        "requests": browser.requests(driver),
        "empty": browser.empty_plots(driver),
    }
    return {kind: each for kind, each in found.items() if each}


@pytest.mark.parametrize("name", [*CASES, *(pytest.param(name, marks=pytest.mark.nightly) for name in MORE)])
def test_the_page_draws_everything_and_asks_for_nothing(driver: Any, folder: Path, name: str) -> None:
    browser.show_width(driver, 1280, 900)
    browser.open_page(driver, folder / f"{name}.html")
    assert faults(driver) == {}
    assert driver.execute_script("return window.stolen === undefined")
    assert driver.find_element("css selector", "#verdict").is_displayed()


def test_a_request_an_error_and_a_missing_plot_are_noticed(driver: Any, folder: Path) -> None:
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)  # it would stop two of them
    script = '<script src="http://127.0.0.1:9/lib.js"></script>'
    thrown = "<script>setTimeout(() => { throw new Error('planted'); });</script>"
    old = "if (!isIntersecting) continue;\n      watcher"
    new = old.replace("if (!isIntersecting)", 'if (!isIntersecting || target.dataset.chart === "drawdown")')
    for there, instead in (("<footer>", f"<footer>{script}{thrown}"), (old, new)):
        assert page.count(there) == 1, there
        page = page.replace(there, instead)
    path = folder / "planted.html"
    path.write_text(page, encoding="utf-8")
    browser.open_page(driver, path)
    found = faults(driver, seconds=1.0)
    assert found["requests"] == ["http://127.0.0.1:9/lib.js"]
    assert any("planted" in line for line in found["console"])
    assert found["empty"] == ["drawdown"]


def test_the_page_itself_forbids_what_is_not_its_own(driver: Any, folder: Path) -> None:
    page = (folder / "one.html").read_text(encoding="utf-8")
    foreign = "<footer><script>window.stolen = true</script><img src='http://127.0.0.1:9/x.png' alt=''>"
    path = folder / "planted-policy.html"
    path.write_text(page.replace("<footer>", foreign), encoding="utf-8")
    browser.open_page(driver, path)
    assert driver.execute_script("return window.stolen === undefined")
    errors = [line for line in browser.console_errors(driver) if "Content Security Policy" in line]
    assert len(errors) == 2, errors  # the script, and the picture


def test_hovering_names_the_values(panel: Any) -> None:
    from selenium.webdriver import ActionChains

    browser.draw(panel, "[data-chart=equity]")
    place = panel.find_element("css selector", "#chart-equity .nsewdrag")
    panel.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", place)
    ActionChains(panel).move_to_element_with_offset(place, 40, 10).pause(0.3).move_by_offset(3, 3).perform()
    words = browser.wait_for(panel, "return document.querySelector('#chart-equity .hoverlayer')?.textContent")
    assert "Policy" in words
    assert "Buy and hold" in words
    assert re.search(r"20\d\d-\d\d-\d\d", words)


def cells(driver: Any, column: int) -> list[str]:
    script = """return [...document.querySelectorAll("#trades-table tbody tr:not([hidden])")]
      .map((row) => row.cells[arguments[0]].textContent);"""
    return list(driver.execute_script(script, column))


def test_trades_are_sorted_by_click_and_by_key_and_filtered(panel: Any) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    def number(text: str) -> float:
        return float(text.replace(",", ""))

    before = cells(panel, 10)
    header = panel.find_element("css selector", "#trades-table th:nth-child(11)")
    assert (header.text, header.get_attribute("aria-sort")) == ("Profit", "none")
    browser.click(panel, "#trades-table th:nth-child(11) button")
    up = cells(panel, 10)
    assert header.get_attribute("aria-sort") == "ascending"
    assert up != before
    assert up == sorted(before, key=number)
    header.find_element("css selector", "button").send_keys(Keys.ENTER)
    assert header.get_attribute("aria-sort") == "descending"
    assert [number(each) for each in cells(panel, 10)] == sorted(map(number, before), reverse=True)
    browser.click(panel, "#trades-table th:nth-child(4) button")
    assert header.get_attribute("aria-sort") == "none"
    assert cells(panel, 3) == sorted(cells(panel, 3))
    Select(panel.find_element("id", "filter-symbol")).select_by_value("XOM")
    Select(panel.find_element("id", "filter-side")).select_by_value("short")
    assert set(cells(panel, 0)) == {"XOM"}
    assert set(cells(panel, 1)) == {"short"}
    assert f"{len(cells(panel, 0))} of 240" in panel.find_element("id", "trades-count").text


COLORS = """
  const style = (query) => getComputedStyle(document.querySelector(query));
  return [style("body").backgroundColor, style("#chart-equity .ytick text").fill, style("#theme").color];"""
TICK = "return getComputedStyle(document.querySelector('#chart-equity .ytick text')).fill"  # redrawn last


def test_dark_colours_by_the_system_and_by_the_button(panel: Any) -> None:
    browser.draw(panel, "[data-chart=equity]")
    light = panel.execute_script(COLORS)
    browser.show_media(panel, "dark")
    browser.wait_for(panel, TICK, unlike=light[1])
    dark = panel.execute_script(COLORS)
    assert all(one != other for one, other in zip(light, dark, strict=True))
    button = panel.find_element("id", "theme")
    assert button.text == "Light"
    button.click()
    browser.wait_for(panel, TICK, unlike=dark[1])
    assert panel.execute_script(COLORS) == light
    browser.show_media(panel, "light")
    assert panel.execute_script(COLORS) == light
    button.click()
    browser.wait_for(panel, TICK, unlike=light[1])
    assert panel.execute_script(COLORS) == dark
    assert browser.console_errors(panel) == []


def test_ranges_scale_and_choices(panel: Any) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.support.select import Select

    browser.draw(panel)
    ranges = """return [...document.querySelectorAll(".js-plotly-plot")].filter((each) =>
      each.layout.xaxis.type === "date").map((each) => String(each.layout.xaxis.range));"""
    assert len(set(panel.execute_script(ranges))) == 1
    whole = panel.execute_script(ranges)
    browser.click(panel, "[data-span='1y']")
    year = panel.execute_script(ranges)
    assert len(set(year)) == 1
    assert len(year) >= 7
    assert year != whole
    place = panel.find_element("css selector", "#chart-drawdown .nsewdrag")
    panel.execute_script("arguments[0].scrollIntoView({block: 'center'})", place)
    ActionChains(panel).double_click(place).perform()
    assert browser.wait_for(panel, ranges, unlike=year) == whole
    assert panel.find_element("css selector", "[data-span='all']").get_attribute("aria-pressed") == "true"
    ActionChains(panel).drag_and_drop_by_offset(place, 150, 0).perform()
    zoomed = browser.wait_for(panel, ranges, unlike=whole)
    assert zoomed != whole
    assert len(set(zoomed)) == 1
    scale = "return document.querySelector('#chart-equity .plot').layout.yaxis.type"
    browser.click(panel, "[aria-label='Logarithmic scale']")
    assert panel.execute_script(scale) == "log"
    name = "return document.querySelector('#chart-price .plot').data[0].y[0]"
    first = panel.execute_script(name)
    Select(panel.find_element("id", "choice-price")).select_by_visible_text("XOM")
    assert panel.execute_script(name) != first or panel.execute_script(name.replace("y[0]", "y[9]"))
    assert browser.console_errors(panel) == []


def test_a_phone_shows_the_page_without_scrolling_sideways(driver: Any, folder: Path) -> None:
    for name in ("hostile", "panel"):
        browser.show_width(driver, 390, 844, phone=True)
        browser.open_page(driver, folder / f"{name}.html")
        assert faults(driver) == {}
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 390, name
        widest = """return Math.max(...[...document.querySelectorAll(".main-svg")]
          .map((each) => each.getBoundingClientRect().right));"""
        assert driver.execute_script(widest) <= 390, name


def test_hints_come_by_pointer_and_by_key(panel: Any) -> None:
    from selenium.webdriver import ActionChains

    bubble = panel.find_element("id", "hint")
    panel.execute_script("document.querySelector(\".figures [data-hint*='quarter of a year']\").focus()")
    assert bubble.is_displayed()
    assert "Compound annual growth rate" in bubble.text
    panel.execute_script("document.activeElement.blur()")
    assert not bubble.is_displayed()
    undefined = panel.find_element("css selector", ".figures td [data-hint]")
    panel.execute_script("arguments[0].scrollIntoView({block: 'center'})", undefined)
    ActionChains(panel).move_to_element(undefined).perform()
    assert bubble.is_displayed()
    assert "ot defined" in bubble.text


def test_paper_has_every_plot_in_light_colours(driver: Any, folder: Path) -> None:
    browser.show_width(driver, 1280, 900)
    browser.show_media(driver, "dark")
    browser.open_page(driver, folder / "panel.html")
    watch = """window.addEventListener("beforeprint", () => { window.paper = {
      theme: document.documentElement.dataset.theme,
      drawn: [...document.querySelectorAll("[data-chart]")].every((each) => each.querySelector(".main-svg")),
      open: document.querySelectorAll("details:not([open])").length }; });"""
    driver.execute_script(watch)
    paper = browser.print_page(driver)
    assert paper.startswith(b"%PDF")
    assert 5 <= len(re.findall(rb"/Type /Page\b", paper)) <= 20
    assert driver.execute_script("return window.paper") == {"theme": "light", "drawn": True, "open": 0}
    assert driver.execute_script("return document.documentElement.dataset.theme === undefined")
    assert browser.console_errors(driver) == []


def test_without_scripts_the_tables_are_there(driver: Any, folder: Path) -> None:
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open_page(driver, folder / "panel.html")
        assert "need JavaScript" in driver.find_element("css selector", ".noscript").text
        assert "p = 0.012" in driver.find_element("id", "verdict").text
        assert len(driver.find_elements("css selector", "#trades-table tbody tr")) == 240
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
