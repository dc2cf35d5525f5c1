"""A page in a real browser: what can be seen of it, and what it asks for."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webdriver import WebDriver

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
WIDTHS = (1280, 1440, 1920)

needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Chromium and its driver (chromium, chromedriver)"
)

# Of the elements that a selector finds, those that a reader cannot see or click: without size,
# beside the window, or under something else at their middle.
_HIDDEN = """
return [...document.querySelectorAll(arguments[0])].filter((each) => {
  each.scrollIntoView({block: "center", behavior: "instant"});
  const box = each.getClientRects()[0];
  if (!box || !box.width || !box.height) return true;
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  if (x < 0 || y < 0 || x > innerWidth || y > innerHeight) return true;
  const top = document.elementFromPoint(x, y);
  return !(top && (each.contains(top) || top.contains(each) && top.closest("svg")));
}).map((each) => each.outerHTML.slice(0, 100));
"""
# Whether the upper left corner of an element is within the window and not covered.
_IN_VIEW = """
const box = arguments[0].getBoundingClientRect(), y = Math.max(box.top, 0) + 12, x = box.left + 12;
const top = document.elementFromPoint(x, y);
return box.width > 0 && box.top >= 0 && y < innerHeight && x >= 0 && x < innerWidth
  && arguments[0].contains(top);
"""


@contextmanager
def browser(profile: Path) -> Iterator[WebDriver]:
    """A browser of its own, whose profile is in an empty folder."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-sync",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-quic",
        "--window-size=1400,900",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def show(driver: WebDriver, page: Path, width: int) -> None:
    """Open a page in a window of that width, as wide as high screens are."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": width * 5 // 8, "deviceScaleFactor": 1, "mobile": False},
    )
    driver.get("about:blank")
    driver.get_log("browser"), driver.get_log("performance")
    driver.get(page.as_uri())


def hidden(driver: WebDriver, selector: str) -> list[str]:
    """The elements that cannot be seen or clicked, of those that a selector finds."""
    assert driver.execute_script("return document.querySelectorAll(arguments[0]).length", selector)
    return driver.execute_script(_HIDDEN, selector)


def in_view(driver: WebDriver, element) -> bool:
    """Whether an element begins within the window, under nothing else."""
    return driver.execute_script(_IN_VIEW, element)


def complaints(driver: WebDriver) -> list[str]:
    """What the browser complains of, and what it asked of anything but the page itself."""
    said = [entry["message"] for entry in driver.get_log("browser")]
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = {
        message["params"]["request"]["url"].split("#")[0]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    page = driver.current_url.split("#")[0]
    return said + sorted(url for url in asked - {page} if not url.startswith("data:"))
