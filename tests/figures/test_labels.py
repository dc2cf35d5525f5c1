"""Axes are labelled as the glossary says."""

import pytest

from flatness.figures.labels import label, symbol, words
from flatness.glossary.quantities import QUANTITIES


def test_words_and_symbol():
    assert words("mean_input_gradient_sq_norm") == "Squared input-gradient norm"
    assert symbol("mean_input_gradient_sq_norm") == "$G$"
    assert label("mean_input_gradient_sq_norm") == "Squared input-gradient norm $G$"


def test_a_variable_without_a_symbol_has_words_only():
    assert symbol("test_loss") == ""
    assert label("test_loss") == "Test loss"


def test_a_capital_changes_no_other_letter():
    assert words("hessian_gap") == (
        "Distance between the trace of the loss Hessian and the sharpness"
    )


@pytest.mark.parametrize("name", QUANTITIES)
def test_all_quantities_have_a_label(name):
    assert label(name).startswith(words(name))
