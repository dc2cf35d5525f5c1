"""Figures as SVG: the runs behind lines and points, in their places."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from flatness.figures.curves import draw_seeds, looks
from flatness.figures.naming import name_line, name_points, named, pieces
from flatness.figures.svg import as_svg
from tests.analysis.made_up import analysed, analysed_run
from tests.figures.drawn import same_files

NAME = "{http://www.w3.org/2000/svg}"
ITERATION = np.array([0, 1000, 2000, 3000])


@pytest.fixture(scope="module")
def runs():
    return analysed([analysed_run(seed=seed, learning_rate=0.1, batch_size=20) for seed in (0, 1)])


@pytest.fixture
def figure(runs):
    """Two seeds and their mean, on a figure of 4 by 3 inches whose panel fills half of it."""
    figure = Figure(figsize=(4, 3))
    panel = figure.add_axes((0.25, 0.25, 0.5, 0.5))
    values = np.array([[0, 1, np.nan, 3], [4, 3, 2, 1.0]])
    draw_seeds(panel, ITERATION, values, looks()[0], [run.id for run in runs])
    panel.set_xlim(0, 3000)
    panel.set_ylim(0, 4)
    return figure


def _paths(svg: str) -> dict[str, ElementTree.Element]:
    """What is named, by its title."""
    over = ElementTree.fromstring(svg).findall(f"{NAME}g")[-1]
    return {path.findtext(f"{NAME}title"): path for path in over.findall(f"{NAME}path")}


def test_each_seed_and_the_mean_is_named_where_it_is_drawn(figure, runs):
    words = "mlp_numbers, learning rate 0.1 (mse), batch size 20"
    paths = _paths(as_svg(figure, runs=runs))
    assert list(paths) == [f"{words}, {of}" for of in ("mean over seeds 0, 1", "seed 0", "seed 1")]
    first = paths[f"{words}, seed 0"]
    assert first.get("data-runs") == runs[0].id
    # The panel: 72 to 216 points across and 54 to 162 down; 0 lies at its lower left corner.
    assert first.get("d") == "M72 162L120 135M216 81"
    assert paths[f"{words}, seed 1"].get("d") == "M72 54L120 81L168 108L216 135"
    assert paths[f"{words}, mean over seeds 0, 1"].get("data-runs").split() == [r.id for r in runs]


def test_points_are_dots(runs):
    figure = Figure(figsize=(4, 3))
    panel = figure.add_axes((0, 0, 1, 1))
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1)
    name_points(panel, [0.5, np.nan], [0.5, 0.5], runs[0].id)
    (path,) = _paths(as_svg(figure, runs=runs)).values()
    assert (path.get("class"), path.get("d")) == ("dots", "M144 108h.1")


def test_names_change_no_picture(tmp_path, runs):
    figures = []
    for names in ([], [run.id for run in runs]):
        figures.append(Figure())
        panel = figures[-1].subplots()
        draw_seeds(panel, ITERATION, np.array([[1, 2, 3, 9.0], [0, 1, 5, 7]]), looks()[0], names)
        panel.set_yscale("symlog")
        figures[-1].tight_layout()
    assert len(list(named(figures[1]))) == 3
    for ending in ("png", "pdf"):
        assert same_files(figures, tmp_path, ending)


def test_what_leaves_its_panel_is_cut_off(figure, runs):
    svg = as_svg(figure, runs=runs)
    (box,) = re.findall(r'<clipPath id="panel0"><rect ([^/]*)/>', svg)
    assert box == 'x="69" y="51" width="150" height="114"'
    assert svg.count('clip-path="url(#panel0)"') == 3


def test_equal_figures_are_equal_text_with_letters_as_letters(figure, runs):
    figure.axes[0].set_title(r"The root $\sqrt{S}$ & more")
    svg = as_svg(figure, runs=runs)
    assert svg == as_svg(figure, runs=runs)
    ElementTree.fromstring(svg)
    assert "<text" in svg
    assert "√" not in svg  # whose font nobody has: an outline
    assert "STIX" not in svg
    assert "Date" not in svg


def test_ids_are_there_where_something_refers_to_them(figure, runs):
    svg = as_svg(figure, runs=runs)
    ids = set(re.findall(r' id="([^"]*)"', svg))
    assert ids - {"panels"} == set(re.findall(r'(?:url\(|href=")#([^")]*)', svg))


def test_the_panels_are_found_without_headline_and_caption(figure, runs):
    figure.text(0.1, 0.95, "A headline")
    left, top, width, height = map(
        float, re.search(r'id="panels" viewBox="([^"]*)"', as_svg(figure, runs=runs))[1].split()
    )
    assert 30 < left < 72
    assert 40 < top < 54
    assert 216 < left + width < 240
    assert 162 < top + height < 190


def test_a_line_with_gaps_is_in_pieces():
    gap = [np.nan, 1]
    places = np.array([gap, [0, 0], [1, 1], gap, gap, [2, 2]])
    assert [piece.tolist() for piece in pieces(places)] == [[[0, 0], [1, 1]], [[2, 2]]]


def test_means_lie_below_what_they_are_made_of(runs):
    figure = Figure()
    panel = figure.subplots()
    name_line(panel, [0, 1], [0, 1], [runs[0].id])
    name_line(panel, [0, 1], [0, 1], [run.id for run in runs])
    assert [len(each.runs) for each in named(figure)] == [2, 1]
