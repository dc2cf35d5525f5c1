"""Trend figures (1, 2, E.7, E.8): six quantities over training, one curve per setting."""

import textwrap
from collections.abc import Sequence
from statistics import median

import matplotlib.style
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from flatness.analysis.quantities import quantities
from flatness.analysis.seeds import (
    FEWEST_FOR_BAND,
    grouped,
    interpolation_iteration,
    mean_and_band,
    settings_of,
    split_excluded,
)
from flatness.figures import STYLE
from flatness.glossary.primitives import PRIMITIVES
from flatness.glossary.quantities import QUANTITIES
from flatness.storage import atomic_path

PANELS = (
    "train_loss",
    "test_accuracy",
    "sqrt_sharpness",
    "log_volume",
    "input_gradient_norm",
    "local_dimension",
)
_LABELS = {"learning_rate": "learning rate", "batch_size": "batch size"}
_TERMS = PRIMITIVES | QUANTITIES
_CAPTION_WIDTH = 172


def trend_figure(
    runs: Sequence[xr.Dataset],
    *,
    title: str,
    compare: str,
    sample_set: str,
    confidence: float,
    interpolation_accuracy: float,
) -> Figure:
    """Draw six panels against the iteration.

    Each run is a thin line, the mean over seeds a strong one with its confidence band
    from three seeds on. A vertical line marks the median iteration at which the runs of
    a setting begin to interpolate. Diverged runs are left out and named below.

    Args:
        runs: the runs' netCDF files, read.
        title: such as "Figure 1".
        compare: "learning_rate" or "batch_size", what differs between curves.
        sample_set: "train" or "test", where the quantities are measured.
        confidence: level of the bands.
        interpolation_accuracy: training accuracy from which a run interpolates.
    """
    counted, excluded = split_excluded(runs)
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(10.5, 7.4))
        axes = figure.subplots(2, 3, sharex=True)
        cycle = list(matplotlib.rcParams["axes.prop_cycle"])
        handles = []
        infinite = 0
        for position, (value, members) in enumerate(grouped(counted, compare).items()):
            look = cycle[position % len(cycle)]
            curves = [_curves(run, sample_set) for run in members]
            interpolation = _interpolation(members, interpolation_accuracy)
            for name, panel in zip(PANELS, axes.flat, strict=True):
                values = np.stack([curve[name].to_numpy() for curve in curves])
                infinite += int(np.isinf(values).sum())
                line = _draw(panel, members[0]["iteration"], values, look, confidence)
                if interpolation is not None:
                    panel.axvline(
                        interpolation, color=look["color"], linewidth=0.9, linestyle=":", zorder=1
                    )
            line.set_label(f"{_LABELS[compare]} {value:g}")
            handles.append(line)
        for name, panel in zip(PANELS, axes.flat, strict=True):
            panel.set_title(_label(name))
            panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g}"))
        axes[0, 0].set_yscale("log")
        for panel in axes[1]:
            panel.set_xlabel("iteration (thousands)")
        figure.legend(
            handles=handles,
            loc="upper right",
            bbox_to_anchor=(0.995, 0.995),
            ncols=len(handles) or 1,
        )
        figure.suptitle(_headline(title, runs), x=0.06, y=0.975, ha="left", fontsize=12)
        paragraphs = (
            _caption(compare, counted, sample_set, confidence, interpolation_accuracy, infinite),
            _excluded(excluded),
            _provenance(runs),
        )
        text = "\n".join(
            line for paragraph in paragraphs for line in textwrap.wrap(paragraph, _CAPTION_WIDTH)
        )
        figure.text(0.06, 0.012, text, fontsize=7.5, color="#333333", va="bottom")
        bottom = 0.03 + 0.0175 * (text.count("\n") + 1)
        figure.tight_layout(rect=(0, bottom, 1, 0.985))
    return figure


def save_figure(figure: Figure, *paths: str) -> None:
    """Write a figure in the formats that the paths' endings name, atomically.

    No clock time is stored, so equal figures are equal files.
    """
    with matplotlib.style.context(STYLE):
        for path in paths:
            metadata = {"CreationDate": None} if path.endswith(".pdf") else {}
            with atomic_path(path) as temporary:
                figure.savefig(temporary, metadata=metadata)


def _label(name: str) -> str:
    """A variable's name in words, and its symbol where there is one."""
    term = _TERMS[name]
    return f"{term.long_name[0].upper()}{term.long_name[1:]} {term.symbol}".rstrip()


def _curves(run: xr.Dataset, sample_set: str) -> xr.Dataset:
    """Everything that a panel may show, over the checkpoints of one run."""
    chosen = run.sel(sample_set=sample_set)
    return quantities(chosen).merge(run[["train_loss", "test_accuracy"]], compat="override")


def _draw(panel: Axes, iteration, values: np.ndarray, look: dict, confidence: float):
    """One setting in one panel; the mean's line."""
    drawn = np.where(np.isfinite(values), values, np.nan)
    for row in drawn:
        panel.plot(iteration, row, color=look["color"], linestyle="-", linewidth=0.6, alpha=0.45)
    band = mean_and_band(drawn, confidence)
    if band.low is not None:
        panel.fill_between(iteration, band.low, band.high, color=look["color"], alpha=0.15, lw=0)
    return panel.plot(iteration, band.mean, **look)[0]


def _interpolation(runs: Sequence[xr.Dataset], accuracy: float) -> float | None:
    """Median over the runs that interpolate, or None where no run does."""
    reached = [interpolation_iteration(run, accuracy) for run in runs]
    known = [iteration for iteration in reached if iteration is not None]
    return median(known) if known else None


def _headline(title: str, runs: Sequence[xr.Dataset]) -> str:
    settings = settings_of(runs[0])
    return f"{title}: {settings['network']['name'].upper()} on {runs[0].attrs['dataset']}"


def _caption(
    compare: str,
    counted: Sequence[xr.Dataset],
    sample_set: str,
    confidence: float,
    accuracy: float,
    infinite: int,
) -> str:
    other = "batch_size" if compare == "learning_rate" else "learning_rate"
    fixed = ", ".join(f"{value:g}" for value in grouped(counted, other)) or "none left"
    seeds = {len(members) for members in grouped(counted, compare).values()}
    band = (
        f", shaded: {confidence:.0%} confidence interval of the mean (Student's t)"
        if seeds and min(seeds) >= FEWEST_FOR_BAND
        else f"; no confidence band with fewer than {FEWEST_FOR_BAND} seeds"
    )
    reached = sum(interpolation_iteration(run, accuracy) is not None for run in counted)
    text = (
        f"Training with plain SGD at {_LABELS[other]} {fixed}. Loss and accuracy are those on "
        f"all images, the other quantities those on the fixed sample set `{sample_set}`. Thin "
        f"lines: one seed each, strong lines: their mean{band}. Dotted verticals: median iteration "
        f"at which training accuracy reaches {accuracy:.1%} ({reached} of {len(counted)} runs do)."
    )
    if infinite:
        text += f" {infinite} values are infinite (zero singular values) and not drawn."
    return text


def _excluded(excluded: dict[str, str]) -> str:
    if not excluded:
        return ""
    return "Excluded: " + "; ".join(f"{run}: {why}" for run, why in excluded.items()) + "."


def _provenance(runs: Sequence[xr.Dataset]) -> str:
    settings = settings_of(runs[0])
    seeds = sorted({settings_of(run)["seed"] for run in runs})
    iterations = sorted({settings_of(run)["iterations"] for run in runs})
    options = dict(settings["network"])
    network = f"{options.pop('name')} (" + ", ".join(f"{k} {v}" for k, v in options.items()) + ")"
    return (
        f"{len(runs)} runs, seeds {', '.join(map(str, seeds))}; "
        f"{', '.join(f'{count:,}' for count in iterations)} iterations; network {network}; loss "
        f"{settings['loss']}; dataset {runs[0].attrs['dataset']} "
        f"(SHA-256 {runs[0].attrs['dataset_checksum'][:12]}); {runs[0].attrs['source']}, "
        f"commit {runs[0].attrs['commit']}."
    )
