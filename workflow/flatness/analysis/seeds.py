"""Runs that differ in their seed only, taken together."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.special import stdtrit

# With fewer runs than this a confidence interval says nothing; none is given.
FEWEST_FOR_BAND = 3


@dataclass(frozen=True)
class Band:
    """A mean over runs and its confidence interval.

    Args:
        mean: (K,).
        low, high: (K,), or None with fewer than `FEWEST_FOR_BAND` runs.
    """

    mean: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None


def mean_and_band(values: np.ndarray, confidence: float) -> Band:
    """Mean over runs with Student's t interval for it.

    Args:
        values: (runs, K), one row per run.
        confidence: level of the interval, between 0 and 1.
    """
    runs = len(values)
    mean = values.mean(0)
    if runs < FEWEST_FOR_BAND:
        return Band(mean, None, None)
    half = stdtrit(runs - 1, (1 + confidence) / 2) * values.std(0, ddof=1) / np.sqrt(runs)
    return Band(mean, mean - half, mean + half)


def settings_of(run: xr.Dataset) -> dict:
    """The settings a run was trained with, from its file."""
    return json.loads(run.attrs["settings"])


def split_excluded(runs: Sequence[xr.Dataset]) -> tuple[list[xr.Dataset], dict[str, str]]:
    """The runs that count, and the id of each run that does not with the reason."""
    counted = [run for run in runs if not run.attrs["diverged"]]
    excluded = {
        run.attrs["run"]: run.attrs["excluded_because"] for run in runs if run.attrs["diverged"]
    }
    return counted, excluded


def grouped(runs: Sequence[xr.Dataset], key: str) -> dict[float, list[xr.Dataset]]:
    """Runs by the value of one setting, in increasing order of it."""
    values = sorted({settings_of(run)[key] for run in runs})
    return {value: [run for run in runs if settings_of(run)[key] == value] for value in values}


def interpolation_iteration(run: xr.Dataset, accuracy: float) -> int | None:
    """The first checkpoint whose training accuracy is at least `accuracy`, or None."""
    reached = run["iteration"].to_numpy()[run["train_accuracy"].to_numpy() >= accuracy]
    return int(reached[0]) if len(reached) else None


def labels(runs: Sequence[xr.Dataset]) -> tuple[np.ndarray, np.ndarray]:
    """Which runs share a seed, and which share a setting of learning rate and batch size.

    Returns:
        Two arrays of (runs,) integers; equal numbers stand for equal seeds, or settings.
    """
    of_run = [settings_of(run) for run in runs]
    seeds = [settings["seed"] for settings in of_run]
    settings = [(settings["learning_rate"], settings["batch_size"]) for settings in of_run]
    return tuple(
        np.array([sorted(set(names)).index(name) for name in names], dtype=int)
        for names in (seeds, settings)
    )
