"""What a check says of a publication that somebody changed."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from flatness.checking.figures import check_figures
from flatness.checking.pages import check_pages
from flatness.storage import read_dataset, write_dataset


@pytest.fixture(autouse=True)
def _without_training(only):
    """Nothing here is about the last step, and drawing takes long."""
    only("tables")


@pytest.fixture
def with_figures(monkeypatch):
    """They are drawn after all."""
    monkeypatch.setattr("flatness.checking.steps.check_figures", check_figures)


@pytest.fixture
def with_pages(monkeypatch):
    """They are written after all."""
    monkeypatch.setattr("flatness.checking.steps.check_pages", check_pages)


def test_a_flipped_byte_of_the_results(copy, checked):
    file = copy / "results.nc"
    content = bytearray(file.read_bytes())
    place = len(content) // 2
    content[place : place + 64] = bytes(64)
    file.write_bytes(content)
    code, printed, error = checked(copy)
    assert (code, printed) == (1, "")
    assert f"{file}: is" in error


def test_truncated_results(copy, checked):
    file = copy / "results.nc"
    file.write_bytes(file.read_bytes()[:-2000])
    code, printed, error = checked(copy)
    assert (code, printed) == (1, "")
    assert f"{file}: is no readable netCDF file" in error


def test_a_number_of_the_results_with_its_checksum(copy, checked, change):
    def larger(results):
        results["small"]["sqrt_sharpness"][0, -1, 0] *= 1.001

    change(larger)
    code, printed, error = checked(copy)
    assert code == 1
    assert f"DIFFERS: {copy}/tables/correlations.nc: " in printed
    assert "tables: NOT as published in " in printed
    assert "inequalities: as published" in printed
    assert f"{copy}: is not all as published: " in error
    assert f"{copy}/tables/" in error


def test_a_quantity_that_an_inequality_is_made_of(copy, checked, change):
    def larger(results):
        results["small"]["mls_bound_b"][1, 2, 0] *= 1.01

    change(larger)
    _, printed, _ = checked(copy)
    assert "DIFFERS: results.nc: small: mls and mls_bound_b do not give the slack of a_b" in printed
    assert "small_lr0.2_bs20_seed0, iteration" in printed


@pytest.mark.parametrize("sides", [True, False])
def test_a_violated_inequality(copy, checked, change, sides):
    def violated(results):
        node = results["small"]
        name = node["inequality"].to_numpy().tolist().index("eq11")
        if sides:
            node["log10_left"][1, name, 3, 1] = node["log10_right"][1, name, 3, 1] + 0.5
            node["slack"][1, name, 3, 1] = -0.5
        else:
            results["small"] = node.to_dataset().drop_vars(["log10_left", "log10_right"])
            results["small"]["slack"][1, name, 3, 1] = -0.5

    change(violated)
    code, printed, _ = checked(copy)
    assert code == 1
    assert (
        "DIFFERS: results.nc: small: 1 inequalities are violated by more than rounding, "
        "most -0.5 (eq11, small_lr0.2_bs20_seed0, iteration " in printed
    )


def test_a_slack_that_is_not_that_of_its_sides(copy, checked, change):
    def wrong(results):
        results["small"]["slack"][0, 0, 0, 0] += 1

    change(wrong)
    assert "the stored slack is not that of both sides" in checked(copy)[1]


def test_a_number_in_a_table(copy, checked):
    file = copy / "tables/claims.csv"
    lines = file.read_text().splitlines()
    lines[4] = lines[4].replace("not testable", "reproduced", 1)
    file.write_text("\n".join(lines) + "\n")
    code, printed, error = checked(copy)
    assert code == 1
    assert f"DIFFERS: {file}: line 5: published is " in printed
    place = printed.partition("line 5: ")[2].partition("\n")[0]
    assert "reproduced" in place.partition("made anew is")[0]
    assert "not testable" in place.partition("made anew is")[2]
    assert f"{file}: line 5" in error


@pytest.mark.parametrize("truncated", [False, True])
def test_a_table_in_netcdf(copy, checked, truncated):
    file = copy / "tables/correlations.nc"
    if truncated:
        file.write_bytes(file.read_bytes()[:1000])
    else:
        table = read_dataset(file)
        place = tuple(np.argwhere(np.isfinite(table["coefficient"].to_numpy()))[0])
        table["coefficient"][place] += 0.25
        write_dataset(table, file)
    code, printed, _ = checked(copy)
    assert code == 1
    wanted = "is no readable netCDF file" if truncated else "coefficient (study 0, "
    assert f"DIFFERS: {file}: {wanted}" in printed


@pytest.mark.usefixtures("with_figures")
def test_tables_and_figures_that_are_missing_or_of_nobody(copy, checked):
    (copy / "tables/claims.txt").unlink()
    (copy / "tables/more.csv").touch()
    (copy / "figures/pairs.png").unlink()
    (copy / "figures/more.png").touch()
    code, printed, error = checked(copy)
    assert code == 1
    for place in (
        "tables/claims.txt: is missing",
        "tables/more.csv: is published, but nothing of that name is made of results.nc",
        "figures/pairs.png: is missing",
        "figures/more.png: is no figure of the configuration",
    ):
        assert f"DIFFERS: {copy}/{place}" in printed
    assert "(3 more above)" in error


def _redrawn(file):
    """The same picture with a line through it."""
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    ImageDraw.Draw(picture).line((0, 0, *picture.size), fill="red", width=5)
    picture.save(file)


@pytest.mark.usefixtures("with_figures")
def test_one_figure_that_shows_something_else(copy, checked):
    _redrawn(copy / "figures/pairs.png")
    code, printed, _ = checked(copy)
    assert code == 1
    assert f"DIFFERS: {copy}/figures/pairs.png: differs in " in printed
    assert "while curves.png drawn by the same versions has the same bytes" in printed


@pytest.mark.usefixtures("with_figures")
def test_figures_of_other_versions_decide_nothing(copy, checked):
    for name in ("pairs", "curves"):
        _redrawn(copy / f"figures/{name}.png")
    code, printed, _ = checked(copy)
    assert code == 0
    assert "figures: drawn anew, to be looked at (" in printed
    assert "other versions of matplotlib or of its fonts" in printed
    assert "pairs.png: differs in " in printed


@pytest.mark.usefixtures("with_figures")
def test_a_damaged_figure(copy, checked):
    for name in ("pairs", "curves"):
        (copy / f"figures/{name}.png").write_bytes(b"no picture")
    code, printed, _ = checked(copy)
    assert code == 1
    assert f"DIFFERS: {copy}/figures/pairs.png: is no readable PNG file" in printed


@pytest.mark.usefixtures("with_pages")
@pytest.mark.parametrize("page", ["README.md", "report.html"])
def test_a_word_of_a_page(copy, checked, page):
    file = copy / page
    text = file.read_text()
    assert "not testable" in text
    file.write_text(text.replace("not testable", "reproduced"))
    code, printed, error = checked(copy)
    assert code == 1
    place = printed.partition(f"DIFFERS: {file}: line ")[2].partition("\n")[0]
    assert "reproduced" in place.partition("made anew is")[0]
    assert "not testable" in place.partition("made anew is")[2]
    assert "pages: NOT as published in 1 place (" in printed
    assert f"{file}: line" in error


@pytest.mark.usefixtures("with_pages")
@pytest.mark.parametrize("page", ["README.md", "report.html"])
def test_a_page_that_is_missing(copy, checked, page):
    (copy / page).unlink()
    code, printed, _ = checked(copy)
    assert code == 1
    assert f"DIFFERS: {copy}/{page}: is missing" in printed


@pytest.mark.usefixtures("with_pages")
def test_a_report_that_should_be_too_large(copy, checked, monkeypatch):
    monkeypatch.setattr("flatness.publication.pages.MOST_BYTES", 1000)
    _, printed, _ = checked(copy)
    assert f"DIFFERS: {copy}/report.html: is published, but one made anew would be" in printed


@pytest.mark.usefixtures("with_pages")
def test_a_picture_in_the_report(copy, checked):
    """It decides where a figure has the same bytes, and nothing where none has."""
    file = copy / "report.html"
    text = file.read_text()
    assert text.count('<use href="#picture-pairs"') > 0
    file.write_text(text.replace('<use href="#picture-pairs"', '<use href="#picture-curves"'))
    code, printed, _ = checked(copy)
    assert code == 1
    assert f"DIFFERS: {file}: line " in printed
    for name in ("pairs", "curves"):
        _redrawn(copy / f"figures/{name}.png")
    code, printed, _ = checked(copy)
    assert code == 0
    assert "report.html is the same but for the pictures in it" in printed
    file.write_text(file.read_text().replace("not testable", "reproduced"))
    code, printed, _ = checked(copy)
    assert code == 1
    assert f"DIFFERS: {file}: without its pictures, line " in printed


def test_a_changed_configuration(copy, checked):
    file = copy / "configuration.yaml"
    file.write_text(file.read_text().replace("learning_rate: 0.2", "learning_rate: 0.3"))
    code, printed, _ = checked(copy)
    assert code == 1
    assert f"DIFFERS: {file}: line " in printed
    assert '0.3", made anew is "' in printed


def test_results_of_another_configuration(copy, checked, change):
    def longer(results):
        given = json.loads(results.attrs["configuration"])
        given["studies"]["small"]["iterations"] = 90
        results.attrs["configuration"] = json.dumps(given)

    change(longer)
    code, printed, _ = checked(copy)
    assert code == 1
    assert "small_lr0.1_bs20_seed0 was trained with iterations = 60, its configuration" in printed
    (copy / "configuration.yaml").unlink()
    assert f"DIFFERS: {copy}/configuration.yaml: is missing" in checked(copy)[1]


@pytest.mark.parametrize("attribute", ["settings", "other_attributes"])
def test_text_that_is_none_of_ours(copy, checked, change, attribute):
    def broken(results):
        results["small"][attribute][0] = "{"

    change(broken)
    code, printed, error = checked(copy)
    assert (code, printed) == (1, "")
    assert f"{copy}/results.nc: holds what no study gives" in error
