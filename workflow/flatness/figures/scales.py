"""Axes whose ticks can be read: thousands of iterations, and logarithms without clutter."""

from math import floor, log10

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

# Up to so many decades, ticks at these multiples of each power of ten.
_MULTIPLES = {1: (1, 2, 3, 4, 5, 7), 1.4: (1, 2, 3, 5), 2.6: (1, 2, 5)}
# Of less than this the ticks are those of a linear axis.
_FEW_DECADES = 0.5


def count_iterations(panel: Axes) -> None:
    """Label the horizontal axis in thousands of iterations."""
    panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g}"))
    panel.set_xlabel("iteration (thousands)")


def logarithmic_height(panel: Axes) -> None:
    """Make the vertical axis logarithmic; to be called when everything is drawn."""
    panel.set_yscale("log")
    _ticks(panel.yaxis, *panel.get_ylim())


def logarithmic_width(panel: Axes) -> None:
    """Make the horizontal axis logarithmic; to be called when everything is drawn."""
    panel.set_xscale("log")
    _ticks(panel.xaxis, *panel.get_xlim())


def _ticks(axis: Axis, low: float, high: float) -> None:
    decades = log10(high / low)
    if decades < _FEW_DECADES:
        axis.set_major_locator(MaxNLocator(5))
        axis.set_minor_locator(NullLocator())
    else:
        subs = next((each for most, each in _MULTIPLES.items() if decades <= most), (1,))
        axis.set_major_locator(LogLocator(subs=subs, numticks=7 if subs == (1,) else "auto"))
    axis.set_minor_formatter(NullFormatter())
    # One form for all ticks of an axis.
    form = number if _is_plain(low) and _is_plain(high) else power
    axis.set_major_formatter(FuncFormatter(lambda value, _: form(value)))


def number(value: float) -> str:
    """A tick's label: plain digits where these are few, else with a power of ten."""
    if value == 0 or _is_plain(value):
        return f"{value:g}".replace("-", "\N{MINUS SIGN}")
    return power(value)


def power(value: float) -> str:
    """A tick's label with a power of ten, in matplotlib's mathematics."""
    exponent = floor(log10(abs(value)) + 1e-9)
    factor = f"{value / 10**exponent:g}"
    text = rf"10^{{{exponent}}}"
    return f"${text}$" if factor == "1" else rf"${factor}\times{text}$"


def _is_plain(value: float) -> bool:
    return 5e-5 <= abs(value) < 2e5
