"""Figures of one's own measurements, as matplotlib figures.

All take what `flatness.measure_checkpoints` and `flatness.Recorder` give, and a run's file of
measurements; `pairs` takes what `flatness.measure` gives, too. The workflow's figures are drawn by
the same functions.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from os import PathLike

import matplotlib.style
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flatness.analysis.bounds import bounds
from flatness.analysis.quantities import quantities as _quantities
from flatness.analysis.statistics import FEWEST_FOR_COEFFICIENT, pearson
from flatness.errors import MeasurementError
from flatness.figures import STYLE, points
from flatness.figures.chain import CHAIN, LEGEND, draw_chain
from flatness.figures.lemma import draw_gaps, draw_progress, drawable
from flatness.figures.pair_grid import draw_pairs
from flatness.figures.series import series_figure
from flatness.figures.slack import draw_slacks
from flatness.series.over_checkpoints import (
    final_numbers,
    numbers,
    opened,
    over_checkpoints,
    usual,
)

# What `measure_checkpoints` and a Recorder give, or the file that holds it.
Measured = xr.Dataset | str | PathLike

_LOGARITHMIC = ("train_loss", "test_loss", "local_dimension")


def trends(
    measured: Measured | Mapping[str, Measured],
    quantities: str | Sequence[str] | None = None,
    *,
    x: str = "linear",
    logarithmic: Sequence[str] = _LOGARITHMIC,
    sample_set: str = "train",
) -> Figure:
    """Quantities against the iteration.

    Args:
        measured: primitives with the dimension `checkpoint`, or their file, or several of these by
            the name of their curve.
        quantities: names of quantities or of numbers recorded beside; None for the usual ones.
        x: "linear" or "log", the axis of the iterations.
        logarithmic: the quantities with a logarithmic axis, where all values are positive.
        sample_set: which one is shown of a run's file, which has several.

    Returns:
        The figure; `figure.savefig("trends.png")` writes it.

    Raises:
        MeasurementError: a Dataset has no checkpoints; a quantity is in none of them.
    """
    if x not in ("linear", "log"):
        raise MeasurementError(f"x = {x!r}. Allowed: 'linear' or 'log'. Correct it.")
    is_one = isinstance(measured, xr.Dataset | str | PathLike)
    named = {"": measured} if is_one else dict(measured)
    series = {name: numbers(name, opened(dataset), sample_set) for name, dataset in named.items()}
    there = {
        str(name)
        for dataset in series.values()
        for name in dataset.data_vars
        if _any(dataset[name])
    }
    names = usual(there) if quantities is None else _listed(quantities)
    lacking = [name for name in names if name not in there]
    if lacking or not names:
        raise MeasurementError(
            f"quantities: {', '.join(map(repr, lacking)) or 'none'} cannot be drawn. Allowed: "
            f"{', '.join(sorted(there))}. Choose among these."
        )
    return series_figure(series, names, logarithmic=logarithmic, logarithmic_width=x == "log")


def chain(measured: Measured, *, sample_set: str = "train") -> Figure:
    """The maximum local sensitivity A and its bounds, A ≤ B ≤ C ≤ D (Eq. 28), over checkpoints.

    Args:
        measured: primitives with the dimension `checkpoint`, or their file.
        sample_set: which one is shown of a run's file, which has several.

    Raises:
        MeasurementError: there are no checkpoints; the bounds do not exist for the network.
    """
    measured = opened(measured)
    found = _quantities(over_checkpoints("", measured, sample_set))
    for name in CHAIN.values():
        if name not in found or "absent" in found[name].attrs:
            reason = found[name].attrs["absent"] if name in found else "was not measured"
            raise MeasurementError(
                f"measured: {name} cannot be drawn: {reason}. Allowed: networks whose first layer "
                "is linear, measured without `only` and `probes`. Draw trends or slack."
            )
    values = {letter: found[name].to_numpy()[None] for letter, name in CHAIN.items()}
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(9, 4.4), layout="constrained")
        panels = figure.subplots(1, 2)
        handles = draw_chain(panels, measured["iteration"].to_numpy(), values)
        for panel in panels:
            panel.set_xlabel("iteration")
        figure.legend(handles=handles, title=LEGEND, loc="outside upper left", ncols=4)
    return figure


def slack(measured: Measured, *, sample_set: str = "train") -> Figure:
    """log10(right / left) of every inequality that holds for the network, over checkpoints.

    Args:
        measured: primitives with the dimension `checkpoint`, or their file.
        sample_set: which one is shown of a run's file, which has several.

    Raises:
        MeasurementError: there are no checkpoints, no inequality applies, or the primitives are
            estimates.
    """
    measured = opened(measured)
    found = bounds(over_checkpoints("", measured, sample_set))["slack"]
    known = {
        str(name): found.sel(inequality=name).to_numpy()[None]
        for name in found["inequality"].to_numpy()
        if found.sel(inequality=name).notnull().any()
    }
    if not known:
        raise MeasurementError(
            "measured: no inequality can be drawn. Allowed: what was measured without `only`. "
            "Measure anew."
        )
    with matplotlib.style.context(STYLE):
        figure = draw_slacks(measured["iteration"].to_numpy(), known)
        figure.tight_layout()
    return figure


def lemma(measured: Measured, *, sample_set: str = "train") -> Figure:
    """|Tr Hessian - S| against the mean distance between output and target (Lemma A.1).

    One point for each checkpoint, the line of slope 1 and the error of estimated traces.

    Args:
        measured: primitives with the dimension `checkpoint`, or their file, with `curvature`.
        sample_set: which one is shown of a run's file, which has several.

    Raises:
        MeasurementError: there are no checkpoints, or curvature was not measured; every gap is
            zero, as it is for networks that are piecewise linear in each layer's parameters.
    """
    measured = opened(measured)
    found = _quantities(over_checkpoints("", measured, sample_set))
    x, y = (found[name].to_numpy() for name in ("mean_residual_norm", "hessian_gap"))
    shown = drawable(x, y)
    if not shown.any():
        reason = found["hessian_gap"].attrs.get(
            "absent", "is zero at every checkpoint, as the trace is the sharpness for this network"
        )
        raise MeasurementError(
            f"measured: hessian_gap cannot be drawn: {reason}. Allowed: networks with curvature in "
            "a layer's parameters, such as tanh between two layers, measured with targets. Draw "
            "trends."
        )
    error = found["hessian_trace_standard_error"].to_numpy()
    iteration = measured["iteration"].to_numpy()
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(6.2, 4.6), layout="constrained")
        panel, place = figure.subplots(1, 2, width_ratios=(1, 0.04))
        progress = iteration / max(iteration.max(), 1)
        draw_gaps(panel, *(each[shown] for each in (x, y, error, progress)))
        draw_progress(figure, place)
    return figure


def pairs(
    measured: Mapping[str, Measured],
    quantities: Sequence[str] | None = None,
    *,
    sample_set: str = "train",
) -> Figure:
    """Every pair of quantities of several networks, one point each, with Pearson's coefficient.

    Of checkpoints the final value is taken, the mean over the last fifth of the iterations.

    Args:
        measured: primitives of each network, or their files, by name; three or more, or there
            is no coefficient.
        quantities: two or more names of quantities; None for the usual ones.
        sample_set: which one is shown of a run's file, which has several.

    Raises:
        MeasurementError: a quantity is in none of them, or fewer than two are asked for.
    """
    if not isinstance(measured, Mapping) or isinstance(measured, xr.Dataset):
        raise MeasurementError(
            f"measured: a {type(measured).__name__}. Allowed: a mapping, {{name: Dataset or "
            "file}. Name each network."
        )
    finals = [final_numbers(opened(dataset), sample_set) for dataset in measured.values()]
    there = {name for final in finals for name, value in final.items() if np.isfinite(value)}
    names = usual(there) if quantities is None else _listed(quantities)
    lacking = [name for name in names if name not in there]
    if lacking or len(names) < 2:
        raise MeasurementError(
            f"quantities: {', '.join(map(repr, lacking or names)) or 'none'} cannot be drawn. "
            f"Allowed: two or more of {', '.join(sorted(there))}. Choose among these."
        )
    values = {name: np.array([final.get(name, np.nan) for final in finals]) for name in names}
    with matplotlib.style.context(STYLE):
        looks = points.looks(list(measured))
        figure = Figure(figsize=(2 * len(names), 2.1 * len(names) + 0.4))
        draw_pairs(figure, values, looks, _coefficients(values))
        figure.legend(
            handles=[look.handle() for look in looks], loc="upper center", ncols=min(4, len(looks))
        )
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.25 * ceil(len(looks) / 4) / len(names) / 2))
    return figure


def _coefficients(values: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Pearson's coefficient of each pair over the networks that have both, as tables hold it."""
    names = list(values)
    shape = (len(names), len(names))
    found, counts = np.full(shape, np.nan), np.zeros(shape, int)
    for row, first in enumerate(values.values()):
        for column, second in enumerate(values.values()):
            both = np.isfinite(first) & np.isfinite(second)
            counts[row, column] = both.sum()
            if both.sum() >= FEWEST_FOR_COEFFICIENT:
                found[row, column] = pearson(first[both], second[both])
    pair = ("quantity", "other_quantity")
    none = (pair, np.full(shape, np.nan))
    return xr.Dataset(
        {"coefficient": (pair, found), "n": (pair, counts)}
        | dict.fromkeys(("low", "high", "settings_low", "settings_high"), none)
        | {"runs": ((), len(next(iter(values.values()))))},
        coords={"quantity": names, "other_quantity": names},
    )


def _listed(quantities: str | Sequence[str]) -> list[str]:
    return [quantities] if isinstance(quantities, str) else list(quantities)


def _any(values: xr.DataArray) -> bool:
    return bool(np.isfinite(values).any())
