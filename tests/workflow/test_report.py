"""The report, opened in a real browser."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from flatness.analysis.claims.the_claims import PARTS
from flatness.settings.roles import MLP

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Chromium and its driver (chromium, chromedriver)"
)

# One figure of each kind.
ONE_SETTING = {"study": "mlp", "learning_rate": 0.1, "batch_size": 20}
FIGURES = {
    "fig1": {
        "kind": "trends",
        "title": "Figure 1",
        "study": "mlp",
        "compare": "learning_rate",
        "fixed": 20,
    },
    "fig3": ONE_SETTING | {"kind": "test_samples"},
    "figD4": ONE_SETTING | {"kind": "chain"},
    "figD6": {"kind": "pair_grid", "study": "mlp"},
    "figS1": ONE_SETTING | {"kind": "slack"},
    "figS3": {"kind": "lemma", "studies": ["mlp"]},
}


@pytest.fixture(scope="module")
def report(finished, source, tmp_path_factory, make_workflow) -> Path:
    """The report of a small study."""
    folder = tmp_path_factory.mktemp("reported")
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    workflow = make_workflow(folder)
    workflow.config["figures"] = FIGURES
    workflow.succeed("--cores", "2")
    workflow.succeed("--report", str(folder / "report.html"))
    return folder / "report.html"


@pytest.fixture(scope="module")
def page(report, tmp_path_factory) -> Iterator[WebDriver]:
    """The report in a browser."""
    with _opened(report, tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@contextmanager
def _opened(report: Path, profile: Path) -> Iterator[WebDriver]:
    """A report in a browser of its own, whose profile is in an empty folder."""
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
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        driver.get(report.as_uri())
        WebDriverWait(driver, 30).until(lambda d: d.find_elements(By.CLASS_NAME, "overview"))
        yield driver
    finally:
        driver.quit()


def _rows(page: WebDriver, category: str) -> list:
    """The entries of a category in the menu, which is reached from the first menu."""
    page.execute_script("app.setView({navbarMode: 'menu'})")
    page.execute_script("app.showCategory(arguments[0])", category)
    entries = page.execute_script("return Object.values(categories[arguments[0]]).flat()", category)

    def listed(driver: WebDriver) -> list | None:
        rows = driver.find_elements(By.XPATH, "//tr[.//a or .//button][td]")
        return rows if len(rows) == len(entries) else None

    return WebDriverWait(page, 10).until(listed)


def _shown(page: WebDriver, category: str, position: int):
    """Open one entry as a reader does, and go into what is shown."""
    eye = _rows(page, category)[position].find_elements(By.XPATH, ".//a | .//button")[0]
    page.execute_script("arguments[0].click()", eye)
    frame = WebDriverWait(page, 10).until(lambda d: d.find_elements(By.TAG_NAME, "iframe"))[0]
    assert frame.is_displayed()
    page.switch_to.frame(frame)


def test_nothing_is_loaded_from_elsewhere(report):
    text = report.read_text()
    assert "<script src=" not in text
    assert "<link" not in text


def test_the_first_page_begins_with_the_claims(page):
    overview = page.find_element(By.CLASS_NAME, "overview")
    headings = [heading.text for heading in overview.find_elements(By.TAG_NAME, "h2")]
    assert headings == [
        "Claims",
        "Excluded runs",
        "What was run",
        "Conventions of the analysis",
        "Hardware and versions",
        "Wall time",
    ]
    claims = overview.find_element(By.TAG_NAME, "table")
    assert len(claims.find_elements(By.CSS_SELECTOR, "tbody tr")) == sum(
        part.network == MLP for part in PARTS
    )
    assert "VGG10" not in claims.text  # no study plays that role
    text = overview.text
    for expected in (
        "None of the 4 runs.",
        "learning rate 0.1 (half_squared_error; 0.5 in mse), batch size 20; learning rate 0.2",
        "half_squared_error",
        "bootstrap_draws 2000",
        "threads 1",
        "python 3.",
        "torch 2.",
        "train_run 4",
        "measure_run 4",
    ):
        assert expected in text, expected


def test_the_top_of_the_first_page_can_be_seen(page):
    """The report centres what it shows, so that the top of a long page may be out of reach."""
    title = page.find_element(By.CSS_SELECTOR, ".prose h1")
    assert "Loss flatness" in title.text
    page.execute_script("arguments[0].scrollIntoView()", title)
    assert title.rect["y"] >= 0
    top = page.execute_script("return arguments[0].getBoundingClientRect().top", title)
    assert 0 <= top < 200


def test_every_figure_is_displayed_with_caption_and_labels(page):
    count = len(_rows(page, "Figures"))
    assert count == len(FIGURES)
    titles = {figure.get("title", name) for name, figure in FIGURES.items()}
    for position in range(count):
        label = _rows(page, "Figures")[position].text
        assert any(label.startswith(f"{title}: ") for title in titles), label
        _shown(page, "Figures", position)
        picture = WebDriverWait(page, 10).until(lambda d: d.find_element(By.TAG_NAME, "img"))
        WebDriverWait(page, 10).until(
            lambda d: d.execute_script("return document.images[0].complete")
        )
        width = page.execute_script("return document.images[0].naturalWidth")
        assert width > 1000
        assert picture.is_displayed()
        assert picture.rect["width"] > 300
        assert label.startswith(picture.get_attribute("alt"))
        page.switch_to.default_content()
    captions = page.execute_script(
        "return Object.entries(results).map(([path, result]) => [path, result.caption])"
    )
    for path, caption in captions:
        assert len(caption) > 60, path


def test_the_overview_is_a_page_of_its_own_too(page):
    assert len(_rows(page, "Overview")) == 1
    _shown(page, "Overview", 0)
    claims = WebDriverWait(page, 10).until(lambda d: d.find_element(By.CLASS_NAME, "claims"))
    assert claims.is_displayed()
    page.switch_to.default_content()


def test_correlation_tables_are_displayed(page):
    assert len(_rows(page, "Correlation tables")) == 1
    _shown(page, "Correlation tables", 0)
    heading = WebDriverWait(page, 10).until(lambda d: d.find_element(By.TAG_NAME, "h1"))
    assert heading.text == "Correlations between final quantities: mlp"
    assert len(page.find_elements(By.TAG_NAME, "table")) == 3
    assert page.find_element(By.TAG_NAME, "td").is_displayed()
    page.switch_to.default_content()


def test_the_verdicts_under_other_choices_are_displayed(page):
    assert len(_rows(page, "Sensitivity of the verdicts")) == 1
    _shown(page, "Sensitivity of the verdicts", 0)
    heading = WebDriverWait(page, 10).until(lambda d: d.find_element(By.TAG_NAME, "h1"))
    assert heading.text == "Sensitivity of the verdicts"
    judged = [part for part in PARTS if part.network == MLP]  # no study plays the other role
    assert len(page.find_elements(By.TAG_NAME, "tr")) == 1 + len(judged)
    page.switch_to.default_content()


def test_two_figures_are_listed(report, make_workflow, tmp_path):
    """The report would show two figures with two labels each as two versions of one."""
    workflow = make_workflow(report.parent)
    workflow.config["figures"] = {name: FIGURES[name] for name in ("fig1", "figD6")}
    workflow.succeed("--cores", "2")
    workflow.succeed("--report", str(tmp_path / "two.html"))
    with _opened(tmp_path / "two.html", tmp_path / "profile") as page:
        labels = [row.text for row in _rows(page, "Figures")]
        assert [label.split(":")[0] for label in labels] == ["figD6", "Figure 1"]


def test_no_script_fails(page, tmp_path):
    """Last, when everything above has been clicked."""
    page.save_screenshot(str(tmp_path / "report.png"))
    messages = [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    assert messages == []
