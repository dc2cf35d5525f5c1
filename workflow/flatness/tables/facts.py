"""What was run, with what, and for how long, as rows of text for tables."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from flatness.analysis.seeds import interpolation_iteration, settings_of

STUDY_KEYS = ("network", "dataset", "loss", "sweep", "seeds", "iterations", "checkpoints")
STUDY_COLUMNS = ("study", *STUDY_KEYS, "runs")
OUTCOME_COLUMNS = (
    *("study", "runs that count", "of them interpolate", "final training accuracy"),
    *("final test accuracy", "zero singular values", "singular values below resolution"),
)
TIME_COLUMNS = ("rule", "jobs", "sum in minutes", "longest in minutes", "largest memory in MiB")


def studies(settings: Mapping[str, Any], runs: Sequence[xr.Dataset]) -> list[tuple[str, ...]]:
    """What each study was asked for, and how many of the runs are its own."""
    rows = []
    for name, study in settings["studies"].items():
        ids = [run.attrs["run"].rpartition("_lr")[0] for run in runs]
        count = ids.count(name)
        rows.append((name, *(as_text(study[key]) for key in STUDY_KEYS), str(count)))
    return rows


def outcomes(
    studies: Mapping[str, Sequence[xr.Dataset]], interpolation_accuracy: float
) -> list[tuple[str, ...]]:
    """How far each study's training got, and what limits its log volume.

    Args:
        studies: runs that count, by study.
        interpolation_accuracy: training accuracy from which a run interpolates.
    """
    rows = []
    for name, runs in studies.items():
        reached = [interpolation_iteration(run, interpolation_accuracy) for run in runs]
        accuracies = (
            _range([float(run[key][-1]) for run in runs])
            for key in ("train_accuracy", "test_accuracy")
        )
        limits = (
            _most([int(run[key].sel(sample_set="train").max()) for run in runs])
            for key in ("zero_singular_values", "unresolved_singular_values")
        )
        rows.append(
            (name, str(len(runs)), str(len(reached) - reached.count(None)), *accuracies, *limits)
        )
    return rows


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.4f} to {max(values):.4f}" if values else "-"


def _most(counts: Sequence[int]) -> str:
    return f"at most {max(counts)} at a checkpoint" if counts else "-"


def conventions(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The settings of the analysis."""
    return [(key, as_text(value)) for key, value in settings["analysis"].items()]


def made_with(runs: Sequence[xr.Dataset]) -> list[tuple[str, str]]:
    """What the runs were made with; where they differ, all values with their number of runs."""
    rows = []
    for fact in ("device", "machine", "threads", "dataset_checksum", "source", "commit"):
        rows.append((fact.replace("_", " "), _counted(str(run.attrs[fact]) for run in runs)))
    versions = [json.loads(run.attrs["versions"]) for run in runs]
    for library in versions[0] if versions else ():
        rows.append((library, _counted(version[library] for version in versions)))
    losses = _counted(settings_of(run)["loss"] for run in runs)
    return [*rows, ("training loss", losses)]


def _counted(values) -> str:
    counts = pd.Series(list(values)).value_counts(sort=False)
    if len(counts) == 1:
        return str(counts.index[0])
    return "; ".join(f"{value} ({count} runs)" for value, count in counts.items())


def times(benchmarks: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Of each rule that has run, from Snakemake's benchmark files."""
    rows = []
    for rule, files in benchmarks.items():
        present = [pd.read_csv(file, sep="\t") for file in files if Path(file).exists()]
        if not present:
            continue
        jobs = pd.concat(present, ignore_index=True)
        seconds = jobs["s"].astype(float)
        # Jobs that end within Snakemake's first sample have no reading.
        memory = pd.to_numeric(jobs["max_rss"], errors="coerce").max()
        rows.append(
            (
                *(rule, str(len(jobs)), f"{seconds.sum() / 60:.2f}", f"{seconds.max() / 60:.2f}"),
                "-" if pd.isna(memory) else f"{memory:.0f}",
            )
        )
    return rows


def as_text(value: Any) -> str:
    """A setting as people write it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {as_text(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        separator = "; " if value and isinstance(value[0], Mapping) else ", "
        return separator.join(as_text(entry) for entry in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
