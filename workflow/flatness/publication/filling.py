"""Runs that an earlier version analysed, beside runs of a later one.

A part that lies on another machine cannot always be analysed anew. What came later to the analysis
is NaN in its runs, with the reason, where another part of the same study has it; all else must
agree.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from flatness.analysis.absent import NOT_ANALYSED
from flatness.glossary import annotate
from flatness.glossary.quantities import QUANTITIES

# What files of earlier versions lack: quantities on (checkpoint, sample_set), and inequalities.
LATER_QUANTITIES = ("adaptive_sharpness", "sqrt_adaptive_sharpness", "relative_flatness", "nvr")
LATER_INEQUALITIES = (
    "volume",
    "volume_mean",
    "volume_schwarz",
    "adaptive",
    "adaptive_input",
    "adaptive_all",
)


@dataclass(frozen=True)
class Layout:
    """What the runs of a study have in one of the files: quantities, and inequalities in order."""

    quantities: tuple[str, ...]
    inequalities: tuple[str, ...]


def layout(node: xr.Dataset | xr.DataTree) -> Layout:
    """That of one run, or of a group of results."""
    inequalities = tuple(str(name) for name in node["inequality"].to_numpy())
    return Layout(tuple(name for name in LATER_QUANTITIES if name in node), inequalities)


def without_later(names: Sequence[str]) -> list[str]:
    """Those that earlier versions know, too."""
    return [name for name in names if name not in (*LATER_QUANTITIES, *LATER_INEQUALITIES)]


def fullest(layouts: Sequence[Layout]) -> Layout:
    """Everything that any of some files has."""
    known = {name for each in layouts for name in each.quantities}
    longest = max(layouts, key=lambda each: len(each.inequalities)).inequalities
    others = {name for each in layouts for name in each.inequalities} - set(longest)
    return Layout(
        tuple(name for name in LATER_QUANTITIES if name in known), (*longest, *sorted(others))
    )


def filled(run: xr.Dataset, wanted: Layout) -> xr.Dataset:
    """A run with what it lacks as NaN; the same run, where it lacks nothing."""
    found = layout(run)
    if found == wanted:
        return run
    nothing = run["sharpness"].variable * np.nan
    lacking = [name for name in wanted.quantities if name not in found.quantities]
    new = {name: (nothing.dims, nothing.values, {"absent": NOT_ANALYSED}) for name in lacking}
    result = run.assign(annotate(xr.Dataset(new), QUANTITIES).data_vars)
    if found.inequalities == wanted.inequalities:
        return result
    result = result.reindex(inequality=np.array(wanted.inequalities, dtype=object))
    result["inequality"].attrs = run["inequality"].attrs
    result["slack"].attrs |= _about_slack(run["slack"].attrs, found, wanted)
    return result


def _about_slack(attributes: Mapping[str, str], found: Layout, wanted: Layout) -> dict[str, str]:
    """Reasons and roundings for all inequalities, where there are any of them."""
    about = {}
    if "absent" in attributes:
        new = [name for name in wanted.inequalities if name not in found.inequalities]
        reasons = json.loads(attributes["absent"]) | dict.fromkeys(new, NOT_ANALYSED)
        about["absent"] = json.dumps(reasons)
    if "rounding" in attributes:
        known = dict(zip(found.inequalities, json.loads(attributes["rounding"]), strict=True))
        about["rounding"] = json.dumps([known.get(name, 0.0) for name in wanted.inequalities])
    return about
