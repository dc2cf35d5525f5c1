"""Every inequality at every checkpoint, from what is published of both its sides."""

import json

import numpy as np
import xarray as xr

from flatness.analysis.rounding import log10_rounding
from flatness.checking.step import Found

# Of log10: the slack was computed from both sides, before these were rounded to be stored.
_STORED = 1e-9
# Sides that are quantities, which are published themselves, by inequality.
_SIDES = {
    "a_b": ("mls", "mls_bound_b"),
    "b_c": ("mls_bound_b", "mls_bound_c"),
    "c_d": ("mls_bound_c", "mls_bound_d"),
    "eq13": ("mls", "mls_bound_d"),
    "unshared_a_u": ("mls", "mls_bound_unshared"),
}


def check_inequalities(results: xr.DataTree) -> Found:
    """See whether the left side is at most the right one, to rounding, wherever it applies.

    Where the file has both sides the slack is taken from them, and must be the stored one; chains
    between quantities that are published, such as A <= B, are taken from these once more.

    Args:
        results: as `flatness.publication.results.condense` gives it.
    """
    lines, differing = [], []
    for study, node in results.children.items():
        found = _of_study(str(study), node.to_dataset(inherit=False))
        lines += found.lines
        differing += found.differing
    return Found(tuple(lines), tuple(differing))


def _of_study(study: str, data: xr.Dataset) -> Found:
    slack, differing = data["slack"], []
    if {"log10_left", "log10_right"} <= set(data.variables):
        sides = data["log10_right"] - data["log10_left"]
        both = np.isfinite(sides) & np.isfinite(slack)
        off = (np.abs(sides - slack) > _STORED).where(both, False)
        if off.any():
            differing.append(
                f"results.nc: {study}: the stored slack is not that of both sides: "
                f"{_place(off.astype(int), sides, slack)}"
            )
        slack = sides.where(both, slack)
    for name, (left, right) in _SIDES.items():
        if name in data["inequality"] and {left, right} <= set(data.variables):
            stored = slack.sel(inequality=name)
            with np.errstate(divide="ignore", invalid="ignore"):
                again = np.log10(data[right]) - np.log10(data[left])
            both = np.isfinite(again) & np.isfinite(stored)
            off = (np.abs(again - stored) > _STORED).where(both, False)
            if off.any():
                differing.append(
                    f"results.nc: {study}: {left} and {right} do not give the slack of {name}: "
                    f"{_place(off.astype(int), again, stored)}"
                )
    rounding = _rounding(data)
    excess = slack + rounding
    violated = int((excess < 0).sum())
    if violated:
        differing.append(
            f"results.nc: {study}: {violated} inequalities are violated by more than rounding, "
            f"most {_place(-excess, slack)}"
        )
    applies = slack.notnull()
    finite = slack.where(np.isfinite(slack))
    used = applies.any([dim for dim in slack.dims if dim != "inequality"])
    line = (
        f"{study}: {int(used.sum())} inequalities at {data.sizes['checkpoint']} checkpoints of "
        f"{data.sizes['run']} runs on {data.sizes['sample_set']} sample sets, "
        f"{int(applies.sum()):,} in all; {violated or 'none'} violated"
    )
    if finite.notnull().any():
        line += f"; least slack {_place(-finite, slack)}"
    return Found((line,), tuple(differing))


def _rounding(data: xr.Dataset) -> xr.DataArray:
    """What rounding may take from the slack of each inequality."""
    stored = data["slack"].attrs.get("rounding")
    if stored:
        values = json.loads(stored)
    else:
        dtype = str(data["dtype"].to_numpy()[0])
        values = [log10_rounding(dtype)] * data.sizes["inequality"]
    return xr.DataArray(np.asarray(values), dims="inequality")


def _place(worst: xr.DataArray, *values: xr.DataArray) -> str:
    """Where something is largest, and what the values are there."""
    filled = worst.fillna(-np.inf)
    where = {str(dim): int(index) for dim, index in filled.argmax(filled.dims).items()}
    numbers = " and ".join(f"{float(each.isel(where)):.3g}" for each in values)
    at = worst.isel(where)
    named = [str(at[name].item()) for name in ("inequality", "run") if name in at.coords]
    iteration = f"iteration {int(at['iteration'])}, {at['sample_set'].item()} samples"
    return f"{numbers} ({', '.join([*named, iteration])})"
