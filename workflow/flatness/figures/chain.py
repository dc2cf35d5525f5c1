"""Figure D.4: the bounds of the maximum local sensitivity and the gaps between them."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.style
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flatness.analysis.seeds import split_excluded
from flatness.figures import STYLE, curves
from flatness.figures.annotation import (
    excluded_runs,
    headline,
    lay_out,
    provenance,
    say_instead,
    values_of,
)
from flatness.figures.labels import symbol
from flatness.glossary.quantities import QUANTITIES

# Eq. 28, from the smallest to the largest.
CHAIN = {"A": "mls", "B": "mls_bound_b", "C": "mls_bound_c", "D": "mls_bound_d"}


def chain_figure(
    runs: Sequence[xr.Dataset], *, title: str, sample_set: str, confidence: float
) -> Figure:
    """Draw A, B, C and D of Eq. 28 against the iteration, and the gaps between neighbours.

    A gap is log10 of the ratio of a bound to the one before it. Where the bounds are absent,
    A is drawn alone and the place of the gaps says why.

    Args:
        runs: analysed runs that differ in their seed only.
        title: such as "Figure D.4".
        sample_set: "train" or "test", where the quantities are measured.
        confidence: level of the bands.
    """
    counted, excluded = split_excluded(runs)
    chosen = [run.sel(sample_set=sample_set) for run in counted]
    absent = _absent(chosen)
    values = _values(chosen, ["A"] if absent else list(CHAIN))
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(10.5, 5.2))
        bounds, gaps = figure.subplots(1, 2)
        bounds.set_title("Maximum local sensitivity A and its bounds")
        bounds.set_yscale("log")
        gaps.set_title(f"Gaps {symbol('slack')}")
        looks = curves.looks()
        for letter, look in zip(values, looks, strict=False):
            line = curves.draw_seeds(
                bounds, chosen[0]["iteration"], values[letter], look, confidence
            )
            line.set_label(letter)
        for (name, gap), look in zip(_gaps(values).items(), looks[len(CHAIN) :], strict=False):
            line = curves.draw_seeds(gaps, chosen[0]["iteration"], gap, look, confidence)
            line.set_label(name)
        for panel in (bounds, gaps):
            curves.count_iterations(panel)
            if panel.lines:
                panel.legend(loc="upper left", bbox_to_anchor=(1, 1))
        if absent:
            say_instead(gaps, f"B, C and D are absent: {absent}")
        else:
            gaps.axhline(0, color="#333333", linewidth=0.8)
        meanings = "; ".join(f"{letter} = {QUANTITIES[CHAIN[letter]].formula}" for letter in values)
        caption = (
            f"Training with plain SGD at {values_of(runs, 'learning_rate')} and "
            f"{values_of(runs, 'batch_size')}; sample set `{sample_set}`. {meanings}. "
            f"{curves.meaning([len(counted)], confidence)}{_last_gaps(values)}{_zeros(values)}"
        )
        lay_out(figure, headline(title, runs), (caption, excluded_runs(excluded), provenance(runs)))
    return figure


def _absent(runs: Sequence[xr.Dataset]) -> str:
    """Why no bound is known in any run, or "" where one is."""
    names = list(CHAIN.values())[1:]
    if not runs or any(run[name].notnull().any() for run in runs for name in names):
        return ""
    return runs[0][names[0]].attrs.get("absent", "no reason is stored")


def _values(runs: Sequence[xr.Dataset], letters: Sequence[str]) -> dict[str, np.ndarray]:
    """Members of the chain by letter, (seeds, K) each; none without runs."""
    return {letter: np.stack([run[CHAIN[letter]] for run in runs]) for letter in letters if runs}


def _gaps(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """log10 of the ratio of neighbours, (seeds, K) each."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            f"{left} ≤ {right}": np.log10(values[right] / values[left])
            for left, right in pairwise(values)
        }


def _last_gaps(values: Mapping[str, np.ndarray]) -> str:
    gaps = ", ".join(f"{gap[:, -1].mean():.3g} ({name})" for name, gap in _gaps(values).items())
    return f" Mean gaps at the last checkpoint: {gaps}." if gaps else ""


def _zeros(values: Mapping[str, np.ndarray]) -> str:
    zero = sum(int((value == 0).sum()) for value in values.values())
    return f" {zero} values are zero and not drawn on the logarithmic axis." if zero else ""
