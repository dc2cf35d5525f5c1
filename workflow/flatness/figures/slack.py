"""How tight the inequalities are over training."""

import json
from collections.abc import Collection, Mapping, Sequence
from math import ceil

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.groups import excluded, that_count
from flatness.figures import STYLE, curves, scales
from flatness.figures.annotation import excluded_runs, headline, lay_out, provenance, training
from flatness.figures.labels import symbol
from flatness.glossary.quantities import QUANTITIES

# By the title of its panel, what the legend calls each inequality of a family.
FAMILIES: dict[str, dict[str, str]] = {
    "Per sample (tightest): Eq. 5, 11": {
        "eq5_frobenius": "Eq. 5, Frobenius norm",
        "eq5_spectral": "Eq. 5, spectral norm",
        "eq11": "Eq. 11, volume",
    },
    "Means of powers $k$: Eq. 6, 7": {
        "eq6_k1_input": r"Eq. 6, $k$ = 1, $J \leq K^W$",
        "eq7_k1_input": r"Eq. 7, $k$ = 1, $J \leq K^W$",
        "eq6_k1_all": r"$k$ = 1, $K^W \leq K$",
        "eq6_k2_input": r"Eq. 6, $k$ = 2, $J \leq K^W$",
        "eq7_k2_input": r"Eq. 7, $k$ = 2, $J \leq K^W$",
        "eq6_k2_all": r"$k$ = 2, $K^W \leq K$",
    },
    "Averaged volume: Eq. 12": {
        "eq12_frobenius": "volume ≤ Frobenius norm",
        "eq12_sharpness": "Frobenius norm ≤ sharpness",
    },
    "Volume by the first layer's gradient": {
        "volume": "per sample (tightest)",
        "volume_mean": "mean volume ≤ mean of powers",
        "volume_schwarz": "mean of powers ≤ two means",
    },
    "Maximum local sensitivity: Eq. 13, 28": {
        "a_b": "A ≤ B",
        "b_c": "B ≤ C",
        "c_d": "C ≤ D",
        "eq13": "A ≤ D (Eq. 13)",
    },
    "First layer's output: U and V": {
        "unshared_frobenius": "per sample (tightest)",
        "unshared_a_u": "A ≤ U",
        "unshared_u_v": "U ≤ V",
    },
    "Network-wide sensitivity: NMLS": {
        "nmls": "bound by the sharpness",
        "nmls_unshared": "bound by layers' outputs",
    },
    "Relative to inputs and weights": {
        "adaptive": "per sample (tightest)",
        "adaptive_input": r"$J\,\mathrm{diag}(x) \leq K^W \odot W$",
        "adaptive_all": r"$K^W \odot W \leq K \odot \theta$",
    },
}
# K^W <= K has the same two factors in front in Eq. 7 as in Eq. 6, and so the same slack.
SAME_AS_DRAWN = {"eq7_k1_all", "eq7_k2_all"}


def slack_figure(runs: Sequence[AnalysedRun], *, title: str, sample_set: str) -> Figure:
    """Draw log10(right / left) of every inequality against the iteration.

    One panel for each family of which any inequality is known; the caption says why others are
    absent.

    Args:
        runs: analysed runs that differ in their seed only.
        title: of the figure.
        sample_set: "train" or "test", where the inequalities are checked.
    """
    counted = that_count(runs)
    slacks = _slacks(counted, sample_set)
    reasons = {
        name: _reason(counted[0], name) for name, each in slacks.items() if np.isnan(each).all()
    }
    known = {name: each for name, each in slacks.items() if name not in reasons}
    with matplotlib.style.context(STYLE):
        names = [run.id for run in counted]
        figure = draw_slacks(counted[0].iteration if counted else [], known, names)
        for panel in figure.axes:
            scales.count_iterations(panel)
        caption = (
            f"{training(runs)} Sample set “{sample_set}”. An inequality holds "
            "where its slack is at least 0; each step of a chain is shown on its own. "
            f"{_meanings(known)}{curves.meaning([len(counted)])}"
            f"{_smallest(slacks)}{_vacuous(slacks)}{_not_drawn(counted)}"
        )
        lay_out(
            figure,
            headline(title, runs),
            (caption, *_absences(reasons), excluded_runs(excluded(runs)), provenance(runs)),
        )
    return figure


def draw_slacks(
    iteration: Sequence[int], known: Mapping[str, np.ndarray], runs: Sequence[str] = ()
) -> Figure:
    """A figure with one panel for each family of which any inequality is known.

    Args:
        iteration: (K,).
        known: by name of the inequality, its slack, (seeds, K).
        runs: ids of the seeds' runs, if the curves are to be named by them.
    """
    shown = {
        family: {name: text for name, text in labels.items() if name in known}
        for family, labels in FAMILIES.items()
        if known.keys() & labels.keys()
    }
    columns = 3 if len(shown) > 4 else 2
    rows = ceil(len(shown) / columns)
    figure = Figure(figsize=(10.5, 1.5 + 3.8 * rows if rows else 3))
    below = ScaledTranslation(0, -0.4, figure.dpi_scale_trans)  # inches, for the axis' label
    for position, (family, labels) in enumerate(shown.items()):
        panel = figure.add_subplot(rows, columns, position + 1)
        panel.set_title(family)
        panel.axhline(0, color="#333333", linewidth=0.8)
        looks = dict(zip(FAMILIES[family], curves.looks(), strict=False))
        for name, text in labels.items():
            line = curves.draw_seeds(panel, iteration, known[name], looks[name], runs)
            line.set_label(text)
        panel.set_xlabel("iteration")
        panel.set_ylabel(symbol("slack"))
        panel.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            bbox_transform=panel.transAxes + below,
            ncols=1 if len(labels) <= 4 else 2,
            fontsize=8,
            columnspacing=1,
        )
    return figure


def _meanings(known: Collection[str]) -> str:
    """The letters in titles and legends, of those inequalities that are shown."""
    text = ""
    if any(name.startswith(("eq6", "eq7")) for name in known):
        text += (
            "Eq. 6, 7: $J$, $K^W$, $K$ stand for the sides with the input Jacobian and with the "
            "gradients of the first layer's weight and of all parameters; the second step of "
            "Eq. 7 has the slack of that of Eq. 6. "
        )
    if any(name.startswith("adaptive") for name in known):
        text += (
            r"$J\,\mathrm{diag}(x)$, $K^W \odot W$, $K \odot \theta$: sides with the input "
            "Jacobian times the input, and with the gradients of the first layer's weight and of "
            "all parameters, times these, entry by entry. "
        )
    text += "A: maximum local sensitivity (MLS)"
    if known & FAMILIES["Maximum local sensitivity: Eq. 13, 28"].keys():
        text += "; B to D: its bounds in Eq. 28"
    return (
        f"{text}; U = {QUANTITIES['mls_bound_unshared'].formula}; V: with the root of the mean "
        "square over samples. "
    )


def _slacks(runs: Sequence[AnalysedRun], sample_set: str) -> dict[str, np.ndarray]:
    """Slack of every inequality that has a place, (seeds, K), NaN where the runs lack it."""
    names = [name for labels in FAMILIES.values() for name in labels]
    return {name: np.stack([run.slack(name, sample_set) for run in runs]) for name in names if runs}


def _reason(run: AnalysedRun, name: str) -> str:
    """Why an inequality is absent."""
    return json.loads(run.absent("slack") or "{}").get(name, "no value is stored")


def _absences(reasons: Mapping[str, str]) -> list[str]:
    """Absent inequalities, those with the same reason together; a whole family by its title."""
    by_reason: dict[str, list[str]] = {}
    for family, labels in FAMILIES.items():
        absent = {name: text for name, text in labels.items() if name in reasons}
        for reason in dict.fromkeys(reasons[name] for name in absent):
            alike = [text for name, text in absent.items() if reasons[name] == reason]
            whole = len(alike) == len(labels)
            by_reason.setdefault(reason, []).append(
                f"“{family}”" if whole else f"{' and '.join(alike)} of “{family}”"
            )
    return [
        f"Absent: {'; '.join(which)} ({reason.rstrip('.')})." for reason, which in by_reason.items()
    ]


def _smallest(slacks: Mapping[str, np.ndarray]) -> str:
    """The least slack of all, with its inequality."""
    least = {name: np.nanmin(each) for name, each in slacks.items() if not np.isnan(each).all()}
    if not least:
        return ""
    name = min(least, key=least.get)
    family, labels = next((f, labels) for f, labels in FAMILIES.items() if name in labels)
    return f" Smallest slack: {least[name]:.3g} ({labels[name]} in “{family}”)."


def _vacuous(slacks: Mapping[str, np.ndarray]) -> str:
    count = sum(int(np.isposinf(each).sum()) for each in slacks.values())
    if not count:
        return ""
    return (
        f" {count} values are infinite, so that the inequality says nothing (left side zero or "
        "right side infinite), and not drawn."
    )


def _not_drawn(runs: Sequence[AnalysedRun]) -> str:
    """Inequalities that have no place in the figure."""
    drawn = SAME_AS_DRAWN.union(*FAMILIES.values())
    others = sorted({str(name) for run in runs for name in run.data["inequality"].values} - drawn)
    return f" Not shown: {', '.join(others)}." if others else ""
