"""Figure D.4: the maximum local sensitivity and its bounds."""

from collections.abc import Mapping, Sequence

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.groups import excluded, that_count
from flatness.figures import STYLE, curves, scales
from flatness.figures.annotation import excluded_runs, headline, lay_out, provenance, training
from flatness.glossary.quantities import QUANTITIES

# Eq. 28, from the smallest to the largest.
CHAIN = {"A": "mls", "B": "mls_bound_b", "C": "mls_bound_c", "D": "mls_bound_d"}
LEGEND = "Maximum local sensitivity (MLS) and its bounds, A ≤ B ≤ C ≤ D"


def chain_figure(runs: Sequence[AnalysedRun], *, title: str, sample_set: str) -> Figure:
    """Draw A, B, C and D of Eq. 28 against the iteration, on a linear and a logarithmic axis.

    The linear one is the paper's and shows differences, the logarithmic one ratios. Where the
    bounds are absent, A is drawn alone and the caption says why.

    Args:
        runs: analysed runs that differ in their seed only.
        title: such as "Figure D.4".
        sample_set: "train" or "test", where the quantities are measured.
    """
    counted = that_count(runs)
    absent = _absent(counted, sample_set)
    values = _values(counted, ["A"] if absent else list(CHAIN), sample_set)
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(10.5, 5.4))
        panels = figure.subplots(1, 2)
        names = [run.id for run in counted]
        handles = draw_chain(panels, counted[0].iteration if counted else [], values, names)
        for panel in panels:
            scales.count_iterations(panel)
        meanings = "; ".join(f"{letter} = {QUANTITIES[CHAIN[letter]].formula}" for letter in values)
        caption = (
            f"{training(runs)} Sample set “{sample_set}”. {meanings}. "
            f"{curves.meaning([len(counted)])}{_zeros(values)}"
        )
        if absent:
            caption += f" B, C and D are absent: {absent.rstrip('.')}."
        lay_out(
            figure,
            headline(title, runs),
            (caption, excluded_runs(excluded(runs)), provenance(runs)),
            handles=handles,
            legend_title=LEGEND,
        )
    return figure


def draw_chain(
    panels: Sequence[Axes],
    iteration: Sequence[int],
    values: Mapping[str, np.ndarray],
    runs: Sequence[str] = (),
) -> list[Line2D]:
    """Draw A, B, C and D in two panels, the second with a logarithmic axis.

    Args:
        panels: two.
        iteration: (K,).
        values: by letter, (seeds, K).
        runs: ids of the seeds' runs, if the curves are to be named by them.

    Returns:
        A labelled line for each letter.
    """
    linear, logarithmic = panels
    linear.set_title("On a linear axis")
    logarithmic.set_title("On a logarithmic axis")
    handles = []
    for letter, look in zip(values, curves.looks(), strict=False):
        for panel in panels:
            shown = values[letter]
            if panel is logarithmic:
                shown = np.where(shown > 0, shown, np.nan)
            line = curves.draw_seeds(panel, iteration, shown, look, runs)
        line.set_label("A (MLS)" if letter == "A" else letter)
        handles.append(line)
    linear.set_ylim(bottom=0)
    scales.logarithmic_height(logarithmic)
    return handles


def _absent(runs: Sequence[AnalysedRun], sample_set: str) -> str:
    """Why no bound is known in any run, or "" where one is."""
    names = list(CHAIN.values())[1:]
    known = (run.curve(name, sample_set) for run in runs for name in names)
    if not runs or any(not np.isnan(curve).all() for curve in known):
        return ""
    return runs[0].absent(names[0]) or "no reason is stored"


def _values(
    runs: Sequence[AnalysedRun], letters: Sequence[str], sample_set: str
) -> dict[str, np.ndarray]:
    """Members of the chain by letter, (seeds, K) each; none without runs."""
    return {
        letter: np.stack([run.curve(CHAIN[letter], sample_set) for run in runs])
        for letter in letters
        if runs
    }


def _zeros(values: Mapping[str, np.ndarray]) -> str:
    zero = sum(int((value == 0).sum()) for value in values.values())
    return f" {zero} values are zero and not drawn on the logarithmic axis." if zero else ""
