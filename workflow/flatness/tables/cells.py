"""Numbers and free text in the cells of tables of claims."""

import re

import pandas as pd

NOTHING = "-"


def number(value: float) -> str:
    """Three significant digits, or a dash."""
    return NOTHING if pd.isna(value) else f"{value:.3g}"


def interval(low: float, high: float) -> str:
    """Both ends in brackets, or a dash."""
    return NOTHING if pd.isna(low) else f"[{number(low)}, {number(high)}]"


def as_markdown_cell(text: str) -> str:
    """Free text as a cell: nothing in it is read as markup, and it stays on one line."""
    return re.sub(r"([\\`*|<&~\[\]])", r"\\\1", " ".join(text.split()))
