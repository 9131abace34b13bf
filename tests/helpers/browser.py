"""A headless Chromium, and what it says about a page: its console, its requests, its plots."""

import base64
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,900",
)
LOCAL = ("file:", "data:", "blob:", "about:", "chrome")


def start(folder: Path) -> Any:
    """Return a driver with an empty profile in a folder; skip the test where there is no Chromium and none must be."""
    if CHROMIUM is None or DRIVER is None:
        assert not os.environ.get("JAXTRADE_REQUIRE_BROWSER"), "chromium and chromedriver are missing"
        pytest.skip("needs Debian's chromium and chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


def open_page(driver: Any, path: Path) -> None:
    """Open a page; what was logged before is dropped."""
    driver.get("about:blank")  # the same address again would count as loaded before it is
    driver.get_log("browser")
    driver.get_log("performance")
    driver.get(path.as_uri())
    wait_for(driver, "return document.readyState === 'complete' && location.protocol === 'file:'")


def draw(driver: Any, places: str = "[data-chart]", seconds: float = 6.0) -> None:
    """Bring plots into view, one after the other, each until it is drawn or its seconds have passed."""
    script = """
      const done = arguments[arguments.length - 1];
      (async () => {
        for (const place of document.querySelectorAll(arguments[0])) {
          place.scrollIntoView({block: "center", behavior: "instant"});
          for (let n = 0; n < 50 * arguments[1] && !place.querySelector(".main-svg"); n++) {
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
        }
        done();
      })();"""
    driver.execute_async_script(script, places, seconds)


def console_errors(driver: Any) -> list[str]:
    """Return what the console says that is not mere information."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] not in ("INFO", "DEBUG")]


def requests(driver: Any) -> list[str]:
    """Return the addresses outside the page that it asked for."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith(LOCAL)]


def empty_plots(driver: Any) -> list[str]:
    """Return the names of the charts that show nothing: no drawing, no trace, or traces without a point."""
    script = """
      return [...document.querySelectorAll("[data-chart]")].filter((place) => {
        const marks = place.querySelectorAll(".main-svg .trace, .main-svg .hm image, .main-svg .points path");
        const boxes = [...marks].map((mark) => mark.getBoundingClientRect());
        return !boxes.some((box) => box.width > 2 || box.height > 2);
      }).map((place) => place.dataset.chart);"""
    return list(driver.execute_script(script))


def show_media(driver: Any, scheme: str = "", media: str = "") -> None:
    """Have the page shown as by a system with dark or light colours, or on paper."""
    features = [{"name": "prefers-color-scheme", "value": scheme}] if scheme else []
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def show_width(driver: Any, width: int, height: int, phone: bool = False) -> None:
    """Have the page shown in a window of another size."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def print_page(driver: Any) -> bytes:
    """Return the page as PDF."""
    options = {"printBackground": True, "preferCSSPageSize": True}
    return base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", options)["data"])


def click(driver: Any, selector: str) -> None:
    """Click what a selector finds, in the middle of the window, where nothing covers it."""
    target = driver.find_element("css selector", selector)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", target)
    target.click()


def wait_for(driver: Any, script: str, unlike: Any = None, seconds: float = 10.0) -> Any:
    """Return what a script returns as soon as it is something, and unlike a value; in the end, whatever it is."""
    end = time.monotonic() + seconds
    while True:
        found = driver.execute_script(script)
        if (found and found != unlike) or time.monotonic() > end:
            return found
        time.sleep(0.02)
