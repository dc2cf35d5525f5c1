"""One part of a claim applied to runs: the number, its interval, and what stands against it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from flatness.analysis.claims.curves import Curves, NotCountedError
from flatness.analysis.claims.measures import Measure
from flatness.analysis.seeds import split_excluded


@dataclass(frozen=True)
class Outcome:
    """A statistic over the runs that count.

    Args:
        value: NaN where it is not defined.
        low, high: its interval; NaN where there is none.
        runs: how many runs count.
        reason: why there is no interval, and which runs do not count and why; "" when
            there is nothing to say.
    """

    value: float
    low: float
    high: float
    runs: int
    reason: str


def outcome(
    measure: Measure,
    runs: Sequence[xr.Dataset],
    *,
    interpolation_accuracy: float,
    confidence: float,
    resamples: int,
) -> Outcome:
    """Apply a measure to the analysed runs that it is about.

    Runs that diverged do not count, nor do those for which the measure is not defined.
    """
    observed, left_out = _observed(measure, runs, interpolation_accuracy)
    value = low = high = np.nan
    sentences = []
    if len(observed) >= measure.fewest_for_value:
        value = float(measure.combine(observed))
    if 0 < len(observed) < measure.fewest_for_interval:
        sentences.append(
            f"{len(observed)} of {len(runs)} runs count; an interval needs "
            f"{measure.fewest_for_interval}."
        )
    elif len(observed) and np.isnan(value):
        sentences.append(f"Not defined: {measure.why_undefined(observed)}.")
    elif len(observed):
        low, high = measure.interval(observed, confidence, resamples)
    sentences += [_left_out(why, names, len(runs)) for why, names in left_out.items()]
    return Outcome(value, low, high, len(observed), " ".join(sentences))


def _observed(
    measure: Measure, runs: Sequence[xr.Dataset], interpolation_accuracy: float
) -> tuple[np.ndarray, dict[str, list[str]]]:
    """What each run that counts adds, (runs, numbers), and the others by the reason."""
    counted, diverged = split_excluded(runs)
    observed = []
    left_out: dict[str, list[str]] = {}
    for name, why in diverged.items():
        left_out.setdefault(f"diverged, {why}", []).append(name)
    for run in counted:
        try:
            observed.append(measure.observe(Curves(run, interpolation_accuracy)))
        except NotCountedError as why:
            left_out.setdefault(str(why), []).append(run.attrs["run"])
    return np.array(observed, dtype=float), left_out


def _left_out(why: str, names: Sequence[str], runs: int) -> str:
    if 1 < runs == len(names):
        return f"Not counted, all {runs} runs: {why}."
    return f"Not counted, {len(names)} of {runs} runs: {why} ({', '.join(names)})."
