"""What was run, with what, and for how long, as rows of text for tables."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.learning_rates import rate_in_words, trained_on
from flatness.provenance import commits

STUDY_KEYS = ("network", "dataset", "loss", "sweep", "seeds", "iterations", "checkpoints")
STUDY_COLUMNS = ("study", *STUDY_KEYS, "runs")
OUTCOME_COLUMNS = (
    "study",
    "runs that count",
    "of them interpolate",
    "final training accuracy",
    "final test accuracy",
    "zero singular values",
    "singular values below resolution",
)
# Of the code that measured, and of that which analysed.
PART_COLUMNS = (
    "part",
    "runs",
    "seeds",
    "processor",
    "device",
    "commit of training",
    "of measuring",
    "of analysis",
)


def studies(settings: Mapping[str, Any], runs: Sequence[AnalysedRun]) -> list[tuple[str, ...]]:
    """What each study was asked for, and how many of the runs are its own."""
    rows = []
    for name, study in settings["studies"].items():
        words = {key: as_text(study[key]) for key in STUDY_KEYS}
        words["sweep"] = sweep(settings, study)
        rows.append((name, *words.values(), str(sum(run.study == name for run in runs))))
    return rows


def sweep(settings: Mapping[str, Any], study: Mapping[str, Any]) -> str:
    """Learning rates, with the loss they belong to, and batch sizes of one study."""
    outputs = settings["datasets"][study["dataset"]]["outputs"]
    return "; ".join(
        f"learning rate {rate_in_words(each['learning_rate'], trained_on(study), outputs)}, batch "
        f"size {each['batch_size']}"
        for each in study["sweep"]
    )


def excluded(runs: Sequence[AnalysedRun]) -> dict[str, str]:
    """Of each run that does not count, its learning rate and why."""
    return {
        run.id: f"learning rate {run.rate_in_words}: {run.excluded_because}"
        for run in runs
        if not run.counts
    }


def parts(runs: Sequence[AnalysedRun], numbers: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Where the runs of each part come from.

    Args:
        runs: all analysed runs.
        numbers: by run, the number of its part.
    """
    rows = []
    for number in sorted(set(numbers.values())):
        of_part = [run for run in runs if numbers[run.id] == number]
        seeds: dict[str, set[int]] = {}
        for run in of_part:
            seeds.setdefault(run.study, set()).add(run.seed)
        listed = {study: as_text(sorted(each)) for study, each in seeds.items()}
        same = len(set(listed.values())) == 1
        said = next(iter(listed.values())) if same else as_text(listed)
        rows.append(
            (
                str(number),
                str(len(of_part)),
                said,
                *(
                    _counted(run.data.attrs[key] for run in of_part)
                    for key in ("processor", "device")
                ),
                *_commits(of_part).values(),
            )
        )
    return rows


def _commits(runs: Sequence[AnalysedRun]) -> dict[str, str]:
    """By stage, the commits with their numbers of runs."""
    every = [commits(run.data.attrs) for run in runs]
    return {stage: _counted(of_run[stage] for of_run in every) for stage in every[0]}


def outcomes(
    studies: Mapping[str, Sequence[AnalysedRun]], interpolation_accuracy: float
) -> list[tuple[str, ...]]:
    """How far each study's training got, and what limits its log volume.

    Args:
        studies: runs that count, by study.
        interpolation_accuracy: training accuracy from which a run interpolates.
    """
    rows = []
    for name, runs in studies.items():
        reached = sum(run.interpolates(interpolation_accuracy) for run in runs)
        accuracies = (
            _range([run.final(key, last_checkpoint=True) for run in runs])
            for key in ("train_accuracy", "test_accuracy")
        )
        limits = (
            _most([int(run.curve(key).max()) for run in runs])
            for key in ("zero_singular_values", "unresolved_singular_values")
        )
        rows.append((name, str(len(runs)), str(reached), *accuracies, *limits))
    return rows


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.4f} to {max(values):.4f}" if values else "-"


def _most(counts: Sequence[int]) -> str:
    return f"at most {max(counts)} at a checkpoint" if counts else "-"


def conventions(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The settings of the analysis."""
    return [(key, as_text(value)) for key, value in settings["analysis"].items()]


def made_with(runs: Sequence[AnalysedRun]) -> list[tuple[str, str]]:
    """What the runs were made with; where they differ, all values with their number of runs."""
    rows = []
    for fact in ("device", "processor", "machine", "threads", "dataset_checksum", "source"):
        rows.append((fact.replace("_", " "), _counted(str(run.data.attrs[fact]) for run in runs)))
    rows += [(f"commit of {stage}", counted) for stage, counted in _commits(runs).items()]
    versions = [json.loads(run.data.attrs["versions"]) for run in runs]
    for library in versions[0] if versions else ():
        rows.append((library, _counted(version[library] for version in versions)))
    losses = _counted(run.loss for run in runs)
    return [*rows, ("training loss", losses)]


def _counted(values) -> str:
    counts = pd.Series(list(values)).value_counts(sort=False)
    if len(counts) == 1:
        return str(counts.index[0])
    return "; ".join(f"{value} ({number_of(count, 'run')})" for value, count in counts.items())


def number_of(count: int, what: str) -> str:
    """Such as "1 run", or "2 runs"."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def as_text(value: Any) -> str:
    """A setting as people write it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {as_text(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        separator = "; " if value and isinstance(value[0], Mapping) else ", "
        return separator.join(as_text(entry) for entry in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
