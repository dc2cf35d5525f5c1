"""The report that Snakemake makes of a study, clicked on in a real browser."""

import shutil

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.publication.browser import browser, in_view, needs_browser, show

pytestmark = needs_browser

TREND = {"kind": "trends", "study": "mlp", "compare": "learning_rate", "fixed": 20}


@pytest.fixture(scope="module", params=[1, 2], ids=["one figure", "two figures"])
def report(request, finished, tmp_path_factory, make_workflow):
    """The report of a small study with so many figures."""
    folder = tmp_path_factory.mktemp("reported")
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    workflow = make_workflow(folder)
    workflow.config["figures"] = {f"fig{number + 1}": TREND for number in range(request.param)}
    workflow.succeed("--cores", "2")
    workflow.succeed("--report", str(folder / "snakemake.html"))
    return folder / "snakemake.html"


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def _until(driver, selector, text=""):
    """The first visible element of a selector, with that text, once it is there."""

    def found(d):
        seen = [each for each in d.find_elements(By.CSS_SELECTOR, selector) if each.is_displayed()]
        return next((each for each in seen if text in each.text), None)

    return WebDriverWait(driver, 20).until(found)


@pytest.mark.parametrize("width", [1280, 1440, 1920])
def test_the_page_is_reached_by_clicks_and_not_covered(driver, report, width):
    show(driver, report, width)
    assert "measured at every checkpoint" in _until(driver, ".prose").text
    _until(driver, "nav a", "Results").click()
    row = _until(driver, "nav tr, nav li", "claims, figures, tables")
    row.find_elements(By.CSS_SELECTOR, "a, button")[0].click()
    frame = _until(driver, "iframe")
    assert in_view(driver, frame)
    assert frame.rect["width"] > 0.6 * width
    driver.switch_to.frame(frame)
    heading = _until(driver, "h1", "small")
    assert in_view(driver, heading)
    link = _until(driver, ".matrix .verdict a")
    link.click()
    part = driver.find_element(By.ID, link.get_attribute("href").partition("#")[2])
    WebDriverWait(driver, 5).until(lambda d: in_view(d, part))
    assert part.find_element(By.CSS_SELECTOR, ".statistic").is_displayed()
    driver.switch_to.default_content()
    severe = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []


def test_nothing_is_loaded_from_elsewhere(report):
    text = report.read_text()
    assert "<script src=" not in text
    assert "<link" not in text
