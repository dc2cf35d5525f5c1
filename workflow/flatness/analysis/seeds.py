"""Access to analysed runs: their settings, groups, and which of them count."""

import json
from collections.abc import Sequence

import numpy as np
import xarray as xr


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
