"""Runs that belong together: of a study, a setting, a seed; and those that count."""

from collections.abc import Iterable, Sequence

import numpy as np

from flatness.analysis.analysed_run import AnalysedRun


def that_count(runs: Iterable[AnalysedRun]) -> list[AnalysedRun]:
    """The runs whose loss stayed finite."""
    return [run for run in runs if run.counts]


def excluded(runs: Iterable[AnalysedRun]) -> dict[str, str]:
    """By the id of each run that does not count, why."""
    return {run.id: run.excluded_because for run in runs if not run.counts}


def by_study(runs: Iterable[AnalysedRun]) -> dict[str, list[AnalysedRun]]:
    """Runs by study, both in the order in which they come."""
    studies: dict[str, list[AnalysedRun]] = {}
    for run in runs:
        studies.setdefault(run.study, []).append(run)
    return studies


def by_value(runs: Sequence[AnalysedRun], key: str) -> dict[float, list[AnalysedRun]]:
    """Runs by "learning_rate", "batch_size" or "seed", in increasing order of it."""
    values = sorted({getattr(run, key) for run in runs})
    return {value: [run for run in runs if getattr(run, key) == value] for value in values}


def labels(runs: Sequence[AnalysedRun]) -> tuple[np.ndarray, np.ndarray]:
    """Which runs share a seed, and which share a setting of learning rate and batch size.

    Returns:
        Two arrays of (runs,) integers; equal numbers stand for equal seeds, or settings.
    """
    of_runs = ([run.seed for run in runs], [run.setting for run in runs])
    return tuple(
        np.array([sorted(set(names)).index(name) for name in names], dtype=int) for names in of_runs
    )
