"""The report, clicked on as readers do: every width, every number of figures, without claims."""

from collections import Counter

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from flatness.analysis.claims import judge_with_sensitivity
from flatness.analysis.claims.verdicts import VERDICTS
from flatness.analysis.correlations import correlations, together
from flatness.figures import draw
from flatness.figures.svg import as_svg
from flatness.publication.report.write import report
from flatness.publication.results import every_run, separate
from flatness.settings import load_settings, runs_of_figure, table_of_runs
from tests.publication.browser import (
    WIDTHS,
    browser,
    complaints,
    hidden,
    in_view,
    needs_browser,
    show,
)
from tests.publication.made_up_results import configuration, made_up_results

pytestmark = needs_browser

TREND = {"kind": "trends", "study": "vgg", "compare": "learning_rate", "fixed": 20}
ONE_SETTING = {"study": "mlp_numbers", "learning_rate": 0.1, "batch_size": 20}
FIGURES = {
    "fig1": TREND | {"title": "Figure 1"},
    "figD6": {"kind": "pair_grid", "study": "mlp_numbers"},
    "figS3": {"kind": "lemma", "studies": ["vgg", "mlp_numbers"], "title": "Figure S.3"},
    "fig3": ONE_SETTING | {"kind": "test_samples", "study": "vgg", "title": "Figure 3"},
    "figD4": ONE_SETTING | {"kind": "chain", "title": "Figure D.4"},
    "figS1": ONE_SETTING | {"kind": "slack", "title": "Figure S.1"},
    "fig2": TREND | {"compare": "batch_size", "fixed": 0.1, "title": "Figure 2"},
    "figE8": TREND | {"study": "mlp_numbers", "title": "Figure E.8"},
    "loss": TREND | {"panels": ["train_loss"], "title": "The loss alone"},
    "figD5": {"kind": "pair_grid", "study": "vgg", "quantities": ["mls", "log_volume"]},
    "late": TREND | {"x": "log", "title": "On a logarithmic axis"},
}
NUMBERS = (1, 2, 3, 11)
CASES = [(number, True) for number in NUMBERS] + [(2, False)]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """By the number of figures, and whether there are claims, a page."""
    folder = tmp_path_factory.mktemp("pages")
    results = made_up_results(figures=FIGURES)
    settings = load_settings(configuration(figures=FIGURES), "made up")
    runs, table = {run.id: run for run in every_run(results)}, table_of_runs(settings)
    drawn = {}
    for name, figure in settings.figures.items():
        shown = [runs[run.id] for run in runs_of_figure(table, figure)]
        options = figure.options(settings.analysis)
        picture = draw(figure.kind, shown, title=settings.title_of(name), options=options)
        drawn[name] = as_svg(picture, runs=shown)
    studies = separate(results)
    options = {"confidence": 0.95, "bootstrap_draws": 50}
    claims, sensitivity = judge_with_sensitivity(
        {role: studies[name] for role, name in settings.claims.roles().items()},
        interpolation_accuracy=0.999,
        **options,
    )
    found = together(
        {name: correlations(of, sample_set="train", **options) for name, of in studies.items()}
    )
    written = {}
    for number, with_claims in CASES:
        changed = {} if with_claims else {"claims": {}}
        text = report(
            made_up_results(figures=FIGURES, **changed),
            load_settings(configuration(figures=FIGURES, **changed), "made up"),
            claims=claims if with_claims else None,
            sensitivity=sensitivity if with_claims else None,
            correlations=found,
            figures=dict(list(drawn.items())[:number]),
        )
        written[number, with_claims] = folder / f"{number}{'' if with_claims else '_alone'}.html"
        written[number, with_claims].write_text(text, encoding="utf-8")
    return written


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(params=[(*case, width) for width in WIDTHS for case in CASES], ids=str)
def page(request, driver, pages):
    """A page that is open, how many figures it has, and whether it has claims."""
    number, with_claims, width = request.param
    show(driver, pages[number, with_claims], width)
    yield driver, number, with_claims
    assert complaints(driver) == []


@pytest.fixture
def whole(driver, pages):
    """The page with everything."""
    show(driver, pages[11, True], 1440)
    yield driver
    assert complaints(driver) == []


def _find(driver, selector):
    return driver.find_element(By.CSS_SELECTOR, selector)


def _all(driver, selector):
    return driver.find_elements(By.CSS_SELECTOR, selector)


def _click(driver, element):
    """As a reader does: scroll until it is in the middle, and click."""
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def _until_in_view(driver, element):
    WebDriverWait(driver, 5).until(lambda d: in_view(d, element))
    assert element.is_displayed()


def test_what_is_asked_for_is_seen(page):
    driver, number, with_claims = page
    wide = driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    assert hidden(driver, "nav a") == []
    assert hidden(driver, ".thumbnails a") == []
    assert len(_all(driver, ".thumbnails a")) == number == len(_all(driver, "figure"))
    if with_claims:
        assert hidden(driver, ".matrix a") == []
        driver.execute_script("scrollTo(0, 0)")
        assert in_view(driver, _find(driver, ".matrix"))
    for link in _all(driver, ".thumbnails a"):
        _click(driver, link)
        figure = _find(driver, link.get_attribute("hash"))
        _until_in_view(driver, figure)
        picture = figure.find_element(By.CSS_SELECTOR, "svg.figure")
        assert in_view(driver, picture)
        assert picture.rect["width"] > 600
        caption = figure.find_element(By.TAG_NAME, "figcaption")
        assert caption.is_displayed()
        assert len(caption.text) > 60
    if with_claims:
        link = _all(driver, ".matrix .verdict a")[-1]
        _click(driver, link)
        part = _find(driver, link.get_attribute("hash"))
        _until_in_view(driver, part)
        assert part.find_element(By.CSS_SELECTOR, ".statistic").is_displayed()


def test_a_part_tells_all_that_is_known_of_it(whole):
    link = _find(whole, ".matrix a[href='#claim-1a-vgg10']")
    assert link.get_attribute("aria-label").startswith("1a, VGG10: ")
    _click(whole, link)
    part = _find(whole, "#claim-1a-vgg10")
    _until_in_view(whole, part)
    for selector in (".value", ".threshold", ".seeds", ".over-settings", ".number-line"):
        shown = part.find_element(By.CSS_SELECTOR, selector)
        assert shown.is_displayed(), selector
    assert part.find_element(By.CSS_SELECTOR, ".threshold").text == ">= 0.5"
    assert "Spearman rho(sqrt_sharpness, log_volume)" in part.text
    assert "Under other choices of the analysis" in part.text
    used = part.find_element(By.CSS_SELECTOR, ".used")
    assert (
        "vgg, learning rate 0.1 (mse), batch size 20: seed 0, seed 1, seed 2, seed 3" in used.text
    )
    figure = part.find_element(By.CSS_SELECTOR, ".figures a")
    assert figure.text == "Figure 1"
    _click(whole, figure)
    _until_in_view(whole, _find(whole, "#fig1"))


def test_a_part_that_was_closed_opens_again(whole):
    link = _find(whole, ".matrix a[href='#claim-1a-vgg10']")
    part = _find(whole, "#claim-1a-vgg10")
    _click(whole, link)
    _until_in_view(whole, part)
    part.find_element(By.TAG_NAME, "summary").click()
    assert not part.find_element(By.CSS_SELECTOR, ".statistic").is_displayed()
    _click(whole, link)  # the address stays as it is
    _until_in_view(whole, part)
    assert part.find_element(By.CSS_SELECTOR, ".statistic").is_displayed()


def test_runs_that_do_not_count_stand_with_their_reason(whole):
    _click(whole, _find(whole, ".matrix a[href='#claim-7a-mlp']"))
    part = _find(whole, "#claim-7a-mlp")
    _until_in_view(whole, part)
    left_out = part.find_element(By.CSS_SELECTOR, ".left-out")
    assert "Diverged" in left_out.text
    link = left_out.find_element(By.TAG_NAME, "a")
    assert link.text == "seed 3"
    _click(whole, link)
    row = _find(whole, "#run-mlp_numbers_lr0\\.2_bs20_seed3")
    _until_in_view(whole, row)
    assert "no: the loss is not finite" in row.text


def test_verdicts_are_words(whole):
    said = {each.text for each in _all(whole, ".matrix .word")}
    assert said
    assert said <= set(VERDICTS)
    assert {each.text for each in _all(whole, ".legend .word")} == set(VERDICTS)


# A place on a path where the path lies above all others, in the window's pixels.
_PLACE = """
const path = arguments[0];
path.closest("svg").scrollIntoView({block: "center"});
const matrix = path.getScreenCTM(), length = path.getTotalLength();
for (let part = 0.02; part < 1; part += 0.02) {
  const at = path.getPointAtLength(part * length).matrixTransform(matrix);
  if (document.elementFromPoint(at.x, at.y) === path) return [at.x, at.y];
}
return null;
"""


@pytest.mark.parametrize("figure", list(FIGURES))
def test_a_curve_names_its_run(whole, figure):
    runs = [path for path in _all(whole, f"#{figure} .named path") if _runs(path)]
    places = ((path, whole.execute_script(_PLACE, path)) for path in reversed(runs))
    path, (x, y) = next((path, place) for path, place in places if place)
    builder = ActionBuilder(whole)
    builder.pointer_action.move_to_location(round(x) + 40, round(y) + 40)
    builder.pointer_action.move_to_location(round(x), round(y))
    builder.perform()
    pointed = _find(whole, "#pointed")
    WebDriverWait(whole, 5).until(lambda _: pointed.is_displayed())
    (run,) = _runs(path)
    study, rest = run.split("_lr")
    rate, size, seed = rest.replace("bs", "").replace("seed", "").split("_")
    words = f"{study}, learning rate {rate} (mse), batch size {size}, seed {seed}"
    assert pointed.text == words
    assert whole.execute_script(
        "const box = arguments[0].getBoundingClientRect();"
        "return box.left >= 0 && box.right <= innerWidth && box.bottom <= innerHeight",
        pointed,
    )
    same = _all(whole, f"#{figure} .named path.same")
    assert {run for each in same for run in _runs(each)} == {run}
    ActionChains(whole).move_to_element(_find(whole, "nav .name")).perform()
    WebDriverWait(whole, 5).until(lambda _: not pointed.is_displayed())


def _runs(path) -> list[str]:
    """The run of a line, or nothing for a mean."""
    names = path.get_attribute("data-runs").split()
    return names if len(names) == 1 else []


def test_a_click_on_a_head_sorts(whole):
    for table in ("statistics", "runs", "correlations"):
        selector = f"#{table} table.sortable"
        heads = _find(whole, selector).find_elements(By.CSS_SELECTOR, "thead th")
        assert hidden(whole, f"{selector} thead th:nth-child(-n+5) button") == []
        column = next(
            position
            for position, head in enumerate(heads)
            if head.text.split("\n")[0] in ("value", "seed", "Pearson")
        )
        before = _order(whole, selector, column)
        _click(whole, heads[column].find_element(By.TAG_NAME, "button"))
        known = sorted(each for each in before if each is not None)
        nothing = [None] * (len(before) - len(known))
        assert _order(whole, selector, column) == known + nothing
        assert before != known + nothing
        assert heads[column].get_attribute("aria-sort") == "ascending"
        _click(whole, heads[column].find_element(By.TAG_NAME, "button"))
        assert _order(whole, selector, column) == known[::-1] + nothing
        assert heads[column].get_attribute("aria-sort") == "descending"


def _order(driver, selector, column):
    found = driver.execute_script(
        "return [...document.querySelector(arguments[0]).tBodies[0].rows]"
        ".map((row) => row.cells[arguments[1]].dataset.order || null)",
        selector,
        column,
    )
    return [None if each is None else float(each) for each in found]


def test_without_claims_there_is_no_word_about_the_paper(driver, pages):
    show(driver, pages[2, False], 1440)
    text = _find(driver, "body").get_attribute("textContent").lower()
    for word in ("paper", "claim", "testable", "verdict", "chen"):
        assert word not in text.partition('"use strict"')[0], word
    assert not _all(driver, ".matrix, .part, .verdict")
    assert hidden(driver, "h1, .thumbnails a, #runs thead th:first-child button") == []
    assert complaints(driver) == []


def test_a_keyboard_is_enough(whole):
    for _ in range(30):
        ActionChains(whole).send_keys(Keys.TAB).perform()
        focused = whole.switch_to.active_element
        if focused.get_attribute("hash") == "#claim-1a-vgg10":
            break
    ActionChains(whole).send_keys(Keys.ENTER).perform()
    part = _find(whole, "#claim-1a-vgg10")
    _until_in_view(whole, part)
    assert whole.switch_to.active_element == part.find_element(By.TAG_NAME, "summary")
    button = _find(whole, "#fig1 button[data-run]")
    _click(whole, _find(whole, "#fig1 details.drawn summary"))
    whole.execute_script("arguments[0].focus()", button)
    assert _all(whole, "#fig1 .named path.same")


def test_on_paper_everything_is_open(whole):
    closed = "details.part:not([open])"
    before = len(_all(whole, closed))
    assert before
    whole.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert not _all(whole, closed)
    sheet = {"width": 760, "height": 1075, "deviceScaleFactor": 1, "mobile": False}  # A4
    whole.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sheet)
    whole.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    wide = whole.execute_script("return document.documentElement.scrollWidth - innerWidth")
    whole.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert wide <= 0
    whole.execute_script("dispatchEvent(new Event('afterprint'))")
    assert len(_all(whole, closed)) == before


def test_a_link_from_elsewhere_opens_what_it_leads_to(driver, pages):
    driver.get(f"{pages[11, True].as_uri()}#claim-6a-mlp")
    part = _find(driver, "#claim-6a-mlp")
    _until_in_view(driver, part)
    assert part.find_element(By.CSS_SELECTOR, ".statistic").is_displayed()


def test_no_id_is_given_twice(whole):
    ids = whole.execute_script("return [...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) > 100
    assert [each for each, count in Counter(ids).items() if count > 1] == []
