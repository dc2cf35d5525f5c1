"""The text around panels."""

import json

import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatness.figures.annotation import headline, lay_out, provenance, training, wrap
from tests.analysis.made_up import analysed, analysed_run
from tests.figures.drawn import assert_readable, texts


def trained_with(loss, **settings):
    run = analysed_run(**settings)
    run.attrs["settings"] = json.dumps(json.loads(run.attrs["settings"]) | {"loss": loss})
    return run


def test_lines_break_at_spaces_but_not_within_mathematics():
    assert wrap(r"the sides $a \leq b + c$ of it", 12) == ["the sides", r"$a \leq b + c$", "of it"]
    assert wrap("as in Eq. 4 of it", 10) == ["as in", "Eq. 4 of", "it"]
    assert wrap("so A ≤ B is", 5) == ["so", "A ≤ B", "is"]
    assert wrap("one two three", 7) == ["one two", "three"]


def test_loss_and_rates_are_those_of_the_runs():
    runs = [trained_with("half_squared_error", batch_size=size) for size in (32, 8, 32)]
    assert training(analysed(runs)) == (
        "Training: plain SGD on half_squared_error at learning rate 0.1 (0.5 in mse) and batch "
        "sizes 8, 32."
    )
    assert headline("Figure 0", analysed(runs)) == (
        "Figure 0: MLP (tanh) on numbers, trained with half_squared_error"
    )


@pytest.mark.parametrize(("arguments", "words"), [({"width": 8}, " (width 8)"), ({}, "")])
def test_a_network_of_ones_own_is_named_by_its_place_with_its_arguments(arguments, words):
    run = trained_with("mse")
    network = {"name": "factory", "factory": "my_cnn.py:build", "arguments": arguments}
    run.attrs["settings"] = json.dumps(json.loads(run.attrs["settings"]) | {"network": network})
    runs = analysed([run])
    assert headline("trends", runs) == "trends: my_cnn.py:build on numbers, trained with mse"
    assert f"; network my_cnn.py:build{words}; " in provenance(runs)


@pytest.mark.parametrize("size", [(10.5, 5), (7.5, 5), (10.5, 9)])
def test_a_long_caption_fits_at_any_size(size):
    figure = Figure(figsize=size)
    figure.subplots(1, 2)
    lay_out(figure, "Figure 0: ALL on everything", ["word and words " * 40, "", "A B C D " * 60])
    assert texts(figure).startswith("Figure 0: ALL on everything word and words")
    assert texts(figure).count("A B C D") == 60
    assert_readable(figure)


@pytest.mark.parametrize("entries", [1, 5, 12])
def test_a_legend_fits_between_headline_and_panels(entries):
    figure = Figure(figsize=(10.5, 5))
    panel = figure.subplots()
    panel.set_title("Title")
    handles = [Line2D([], [], label=f"entry {n} with words") for n in range(entries)]
    lay_out(figure, "Figure 0: ALL", ["caption"], handles=handles, legend_title="what they are")
    assert [text.get_text() for text in figure.legends[0].get_texts()][-1].startswith(
        f"entry {entries - 1}"
    )
    assert figure.legends[0].get_title().get_text() == "what they are"
    assert_readable(figure)
    legend = figure.legends[0].get_window_extent()
    assert not legend.overlaps(panel.title.get_window_extent())
    assert legend.x1 <= figure.bbox.x1


def test_text_alone_is_a_figure_too():
    figure = Figure(figsize=(10.5, 2))
    lay_out(figure, "Figure 0: ALL", ["nothing to show"])
    assert_readable(figure)


def test_overlapping_text_is_noticed():
    figure = Figure()
    figure.text(0.5, 0.5, "one text")
    figure.text(0.5, 0.5, "another text")
    with pytest.raises(AssertionError, match="one text"):
        assert_readable(figure)


def test_text_beyond_the_edge_is_noticed():
    figure = Figure()
    figure.text(0.9, 0.5, "a text that is longer than the rest of the figure")
    with pytest.raises(AssertionError, match="longer than the rest"):
        assert_readable(figure)
