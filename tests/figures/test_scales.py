"""Axes whose ticks can be read."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from flatness.figures.scales import (
    count_iterations,
    logarithmic_height,
    logarithmic_width,
    number,
)


def ticks(axis) -> list[str]:
    """The labels within the axis' ends."""
    low, high = axis.get_view_interval()
    kept = [place for place in axis.get_majorticklocs() if low <= place <= high]
    return [axis.get_major_formatter()(place, 0) for place in kept]


@pytest.fixture
def panel():
    return Figure().subplots()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.05, 7.6, ["1", "2", "3", "4", "5", "7"]),
        (0.05, 0.6, ["0.05", "0.1", "0.2", "0.3", "0.5"]),
        (0.06, 8, ["0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10"]),
        (2e-4, 0.6, ["0.001", "0.01", "0.1"]),
        (3e-7, 0.6, [f"$10^{{{exponent}}}$" for exponent in range(-6, 1)]),
    ],
)
def test_ticks_of_logarithms_are_few_and_plain(panel, low, high, expected):
    panel.plot([0, 1], [low, high])
    logarithmic_height(panel)
    assert panel.get_yscale() == "log"
    assert ticks(panel.yaxis) == expected
    assert not any(panel.yaxis.get_minor_formatter()(place, 0) for place in (0.2, 3))


def test_a_short_logarithmic_axis_has_ticks_too(panel):
    panel.plot([2, 2.5], [1, 1])
    logarithmic_width(panel)
    assert panel.get_xscale() == "log"
    assert "2.4" in ticks(panel.xaxis)
    assert len(ticks(panel.xaxis)) >= 3


def test_a_panel_of_nothing_is_no_failure(panel):
    logarithmic_height(panel)
    assert panel.get_yscale() == "log"


def test_numbers_are_plain_digits_where_these_are_few():
    assert [number(value) for value in (0, 2.5, -45, 0.0001, 12000)] == [
        "0",
        "2.5",
        "\N{MINUS SIGN}45",
        "0.0001",
        "12000",
    ]
    assert number(1e-6) == "$10^{-6}$"
    assert number(3e-7) == r"$3\times10^{-7}$"
    assert number(np.float64(3e5)) == r"$3\times10^{5}$"


def test_iterations_are_counted_in_thousands(panel):
    count_iterations(panel)
    assert panel.xaxis.get_major_formatter()(2500, 0) == "2.5"
    assert panel.get_xlabel() == "iteration (thousands)"
