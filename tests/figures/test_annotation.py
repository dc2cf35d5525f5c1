"""The text around panels."""

import pytest
from drawn import assert_readable, inside, texts
from matplotlib.figure import Figure

from flatness.figures.annotation import lay_out, say_instead, values_of, wrap
from made_up import analysed_run


def test_lines_break_at_spaces_but_not_within_mathematics():
    assert wrap(r"the sides $a \leq b + c$ of it", 12) == ["the sides", r"$a \leq b + c$", "of it"]
    assert wrap("as in Eq. 4 of it", 10) == ["as in", "Eq. 4 of", "it"]
    assert wrap("so A ≤ B is", 5) == ["so", "A ≤ B", "is"]
    assert wrap("one two three", 7) == ["one two", "three"]


def test_values_are_named_in_increasing_order():
    runs = [analysed_run(batch_size=size) for size in (32, 8, 32)]
    assert values_of(runs, "batch_size") == "batch size 8, 32"
    assert values_of([], "learning_rate") == "learning rate none left"


@pytest.mark.parametrize("size", [(10.5, 5), (7.5, 5), (10.5, 9)])
def test_a_long_caption_fits_at_any_size(size):
    figure = Figure(figsize=size)
    figure.subplots(1, 2)
    lay_out(figure, "Figure 0: ALL on everything", ["word and words " * 40, "", "A B C D " * 60])
    assert texts(figure).startswith("Figure 0: ALL on everything word and words")
    assert texts(figure).count("A B C D") == 60
    assert_readable(figure)


def test_a_reason_takes_the_place_of_data():
    figure = Figure()
    panel = figure.subplots()
    panel.set_title("Title")
    say_instead(panel, "a reason that is so long that it does not fit into one line of a panel")
    assert inside(panel) == "a reason that is so long that it does not fit into one line of a panel"
    assert "\n" in panel.texts[0].get_text()
    assert not panel.axison
    assert panel.get_title() == "Title"


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
