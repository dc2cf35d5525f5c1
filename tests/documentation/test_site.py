"""`make site`, as it is built and as a browser shows it from the disk."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

import flatness

pytest.importorskip("sphinx", reason="needs what the extra `docs` brings")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
in_a_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Chromium and its driver (chromium, chromedriver)"
)

# What a stranger asks in the first ten minutes, and words of the place that a click leads to.
ANSWERS = {
    "What do S, G and MLS mean?": "maximum local sensitivity",
    "How do I open the published results?": "flatness.open_results",
    "Which way does the data go?": "Three ways lead in",
    "What is stable?": "stays readable",
    "How long do the tests take, and how do I run one?": "-m pytest tests/",
    "It was interrupted. What now?": "--rerun-incomplete",
    "check the paper in five minutes": "flatness check docs/reproduction",
    "measure a network, or checkpoints, of mine": "flatness.measure(network.eval(), samples)",
    "run a study of my own": "snakemake --cores 8 --configfile my.yaml",
}


def build(root: Path, source: Path, output: Path) -> subprocess.CompletedProcess:
    """Sphinx with the options of `make site`."""
    (options,) = re.findall(
        r"^\t\$\(BIN\)/python -m sphinx (.*) --conf-dir tools/site --doctree-dir \S+ ",
        (root / "Makefile").read_text(),
        re.M,
    )
    return subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", *options.split(), "--conf-dir", "tools/site"),
            *("--doctree-dir", output.with_name("doctrees"), ".", output),
        ],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def site(root, tmp_path_factory) -> Path:
    """The whole site."""
    folder = tmp_path_factory.mktemp("site") / "site"
    result = build(root, root, folder)
    assert (result.returncode, result.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[WebDriver]:
    """A browser that keeps what it requests and complains of."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update", "--disable-quic"),
        *("--window-size=1280,900", f"--user-data-dir={tmp_path_factory.mktemp('profile')}"),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def front(browser, site) -> WebDriver:
    """The front page."""
    browser.get((site / "docs/index.html").as_uri())
    return browser


def requested(browser: WebDriver) -> set[str]:
    """Addresses that were asked for since the last call, but for pages inside of the browser."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    return {address for address in addresses if not address.startswith("chrome:")}


def pages_in_the_menu(browser: WebDriver) -> list[str]:
    links = browser.find_elements(By.CSS_SELECTOR, ".sidebar-tree a.reference.internal")
    return [link.get_attribute("href") for link in links]


def test_the_public_names_have_signatures_and_docstrings(site):
    page = (site / "docs/python_api.html").read_text()
    names = {f"flatness.{name}" for name in flatness.__all__} - {
        "flatness.__version__",
        "flatness.plot",
    }
    names |= {
        f"flatness.plot.{name}"
        for name, thing in vars(flatness.plot).items()
        if not name.startswith("_") and getattr(thing, "__module__", "") == "flatness.plot"
    }
    assert len(names) >= 13
    for name in names:
        assert re.search(rf'<dt class="sig [^>]*id="{re.escape(name)}">', page), name
    assert page.count("<dd><p>") >= len(names)
    assert "S for f(x) = W x + b" not in page  # docstrings of what is not public stay out


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("[a page](missing.md)", "missing.md"),
        ("[a heading](#no-such-heading)", "no-such-heading"),
        ("![a picture](missing.png)", "missing.png"),
        (r"A formula $\nosuchcommand$", "nosuchcommand"),
        ("<!-- docstrings: flatness.nosuchname -->", "nosuchname"),
    ],
)
def test_what_leads_nowhere_stops_it(root, tmp_path, text, warning):
    shutil.copytree(root / "tools/site", tmp_path / "tools/site")
    (tmp_path / "docs").mkdir()
    front = "# A front page\n\n## Pages\n\n<!-- menu -->\n\n- [Other](other.md): another page\n"
    (tmp_path / "docs/index.md").write_text(front)
    (tmp_path / "docs/other.md").write_text("# Another page\n\nNothing wrong.\n")
    if text == "[a page](missing.md)":  # once: what is wrong is not the frame around it
        result = build(root, tmp_path, tmp_path / "built")
        assert (result.returncode, result.stderr) == (0, "")
    (tmp_path / "docs/other.md").write_text(f"# Another page\n\n{text}\n")
    result = build(root, tmp_path, tmp_path / "built")
    assert result.returncode != 0
    assert warning in result.stderr


@in_a_browser
def test_the_first_file_leads_to_the_front_page(browser, site):
    browser.get((site / "index.html").as_uri())
    WebDriverWait(browser, 10).until(lambda d: d.current_url == (site / "docs/index.html").as_uri())


@in_a_browser
def test_every_page_of_the_menu_fits_and_asks_nothing_of_elsewhere(front, site):
    pages = pages_in_the_menu(front)
    assert len(pages) >= 30
    for page in pages:
        front.get(page)
        assert front.find_element(By.TAG_NAME, "h1").text, page
        wider = (
            "return document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert front.execute_script(wider) <= 0, page
        broken = "return [...document.images].filter(i => !i.naturalWidth).map(i => i.src)"
        assert front.execute_script(broken) == [], page
    addresses = requested(front)
    assert len(addresses) > len(pages)
    outside = [each for each in addresses if not each.startswith((site.as_uri(), "data:"))]
    assert outside == []
    assert [entry["message"] for entry in front.get_log("browser")] == []


@in_a_browser
@pytest.mark.parametrize("question", ANSWERS)
def test_a_question_is_answered_by_one_click(front, question):
    link = front.find_element(By.XPATH, f'//tr[td[normalize-space()="{question}"]]//a')
    front.execute_script(
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", link
    )
    link.click()
    WebDriverWait(front, 10).until(lambda d: not d.current_url.endswith("/docs/index.html"))
    heading = front.current_url.partition("#")[2]
    place = (
        front.find_element(By.ID, heading)
        if heading
        else front.find_element(By.ID, "furo-main-content")
    )
    assert ANSWERS[question] in place.text


@in_a_browser
def test_formulas_are_mathml(browser, site):
    browser.get((site / "docs/the_paper.html").as_uri())
    formulas = browser.find_elements(By.TAG_NAME, "math")
    assert len(formulas) >= 4
    assert {formula.get_property("namespaceURI") for formula in formulas} == {
        "http://www.w3.org/1998/Math/MathML"
    }
    bound = max(formulas, key=lambda formula: formula.size["height"])
    assert bound.find_elements(By.TAG_NAME, "msqrt")
    # What is below a root of fractions is higher than a line of text, if it is laid out at all.
    assert bound.size["height"] > 1.5 * formulas[0].size["height"]


@in_a_browser
def test_searching_finds_the_page(front):
    requested(front)
    field = front.find_element(By.CSS_SELECTOR, ".sidebar-search")
    field.send_keys("unresolved_singular_values", Keys.ENTER)
    found = WebDriverWait(front, 20).until(
        lambda d: d.find_elements(By.CSS_SELECTOR, "#search-results .search a")
    )
    assert "Glossary" in [link.text for link in found]
    assert all(each.startswith(("file:", "data:")) for each in requested(front))
