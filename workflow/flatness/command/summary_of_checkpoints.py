"""The page of several checkpoints: quantities over them, and all that is known of the last."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from flatness.analysis.bounds import bounds, check
from flatness.analysis.estimates import is_estimate
from flatness.analysis.quantities import quantities
from flatness.command.aligned import number, table, wrapped
from flatness.command.summary import summary
from flatness.errors import BoundError
from flatness.series.over_checkpoints import usual


def summary_of_checkpoints(
    primitives: xr.Dataset, powers: Sequence[float], picture: str
) -> tuple[str, str | None]:
    """The page of a series.

    Args:
        primitives: with the dimension `checkpoint`, as `summary` takes those of one.
        powers: the k of Eq. 6 and 7.
        picture: the name of the file that shows the curves, beside the page.

    Returns:
        The page, and the sentence of `flatness.analysis.bounds.check` where an inequality is
        violated at any checkpoint.
    """
    violation, said = None, ""
    if not is_estimate(primitives):
        found = bounds(primitives, powers)
        said = _smallest(found)
        try:
            check(found, primitives.attrs["factory"])
        except BoundError as error:
            violation = said = str(error)
    values = quantities(primitives)
    shown = usual([str(name) for name in values if np.isfinite(values[name]).any()])
    iterations = [int(each) for each in primitives["iteration"]]
    rows = [
        (str(iteration), *(number(values[name].isel(checkpoint=k)) for name in shown))
        for k, iteration in enumerate(iterations)
    ]
    curves = [
        f"## {len(rows)} checkpoints",
        f"![Quantities over the checkpoints]({picture})",
        table(("iteration", *shown), rows),
        *([wrapped(said)] if said else []),
    ]
    last = primitives.isel(checkpoint=-1)
    text, _ = summary(last, powers, curves=curves, when=f" at iteration {iterations[-1]}")
    return text, violation


def _smallest(found: xr.Dataset) -> str:
    """How the check of all checkpoints went that raised nothing."""
    slack = found["slack"].stack(place=("checkpoint", "inequality")).dropna("place")
    if not slack.size:
        return ""
    smallest = slack.isel(place=int(np.argmin(slack.to_numpy())))
    name = str(smallest["inequality"].item())
    return (
        f"All inequalities that apply hold at every checkpoint, to rounding. The smallest slack is "
        f"{number(smallest)} (`{name}`, iteration {int(smallest['iteration'])})."
    )
