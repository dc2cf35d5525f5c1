"""A value and its intervals beside the threshold that they are judged by, as a small picture."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import pandas as pd

from flatness.tables.cells import number

# In pixels: all of it, what names take at its left, and what stays free at its right.
_WIDTH, _NAMES, _EDGE = 500, 150, 40
_TOP, _STEP = 28, 22


@dataclass(frozen=True)
class Bar:
    """An interval, and how the picture calls it."""

    name: str
    low: float
    high: float


def number_line(value: float, threshold: float, bars: Sequence[Bar]) -> str:
    """An SVG picture; "" where the value is not defined or nothing is finite.

    Args:
        value: of the statistic.
        threshold: that it is compared with.
        bars: its intervals; those that are not defined are left out.
    """
    shown = [bar for bar in bars if not pd.isna(bar.low)]
    places = [value, threshold, *(end for bar in shown for end in (bar.low, bar.high))]
    if not all(map(isfinite, places)):
        return ""
    low, high = min(places), max(places)
    size = (high - low) or abs(high) or 1

    def across(place: float) -> str:
        return f"{_NAMES + (place - low) / size * (_WIDTH - _NAMES - _EDGE):.1f}"

    rows = shown or [Bar("no interval", value, value)]
    height = _TOP + _STEP * len(rows)
    parts = [
        f'<line class="threshold" x1="{across(threshold)}" x2="{across(threshold)}" y1="14" '
        f'y2="{height - 6}"/>',
        f'<text class="threshold" x="{across(threshold)}" y="10" text-anchor="middle">'
        f"threshold {number(threshold)}</text>",
    ]
    for position, bar in enumerate(rows):
        middle = _TOP + _STEP * position + 6
        parts += [
            f'<line class="interval" x1="{across(bar.low)}" x2="{across(bar.high)}" y1="{middle}" '
            f'y2="{middle}"><title>{html.escape(bar.name)}</title></line>',
            f'<circle class="value" cx="{across(value)}" cy="{middle}" r="4.5"/>',
            f'<text x="0" y="{middle + 4}">{html.escape(bar.name)}</text>',
        ]
    said = "; ".join(f"{bar.name} from {number(bar.low)} to {number(bar.high)}" for bar in shown)
    label = f"value {number(value)}, threshold {number(threshold)}{f'; {said}' if said else ''}"
    return (
        f'<svg class="number-line" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{html.escape(label)}">{"".join(parts)}</svg>'
    )
