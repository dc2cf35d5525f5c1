"""Time, memory and disk that each run took at each stage.

Stages are named as the rules. Those of a dataset are told at each of its runs; a middle layer is a
stage of its own, `measure_layer/LAYER`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

# In the order of the fields of `Cost`.
COSTS = ("wall_time", "peak_memory", "output_size")
COLUMNS = (
    "rule",
    "of runs on",
    "jobs",
    "sum in minutes",
    "longest in minutes",
    "largest memory in MiB",
    "files in MB",
)
_PREPARING = "prepare_dataset"
_MEGABYTE = 10**6


@dataclass(frozen=True)
class Cost:
    """What one job took; NaN where that is not known.

    Args:
        seconds: wall time of its last attempt.
        mebibytes: largest resident set.
        bytes: size of its files.
    """

    seconds: float = np.nan
    mebibytes: float = np.nan
    bytes: float = np.nan


def read_cost(benchmark: Path, output: Path) -> Cost:
    """What a job took.

    Args:
        benchmark: file of Snakemake; it has no reading of the memory of jobs that end within
            Snakemake's first sample.
        output: file or folder that the job made.
    """
    files = [file for file in (output, *output.rglob("*")) if file.is_file()]
    size = float(sum(file.stat().st_size for file in files)) if files else np.nan
    if not benchmark.exists():
        return Cost(bytes=size)
    job = pd.read_csv(benchmark, sep="\t").iloc[-1]
    memory = pd.to_numeric(pd.Series([job["max_rss"]]), errors="coerce")[0]
    return Cost(float(job["s"]), float(memory), size)


def as_variables(runs: Sequence[Mapping[str, Cost]]) -> dict[str, tuple]:
    """Costs over (run, stage) for a Dataset.

    Args:
        runs: the costs of each run, by stage.
    """
    stages = list(dict.fromkeys(stage for run in runs for stage in run))
    table = np.array([[astuple(run.get(stage, Cost())) for stage in stages] for run in runs])
    table = table.reshape(len(runs), len(stages), len(COSTS))
    variables = {
        name: (("run", "stage"), table[..., position]) for position, name in enumerate(COSTS)
    }
    return variables | {"stage": ("stage", np.array(stages, dtype=object))}


def costs_of(results: xr.DataTree) -> dict[str, dict[str, Cost]]:
    """By run and stage, from a file of results."""
    found = {}
    for node in results.children.values():
        for run in node["run"].to_numpy():
            of_run = node.to_dataset(inherit=False)[list(COSTS)].sel(run=run)
            found[str(run)] = {
                str(stage): Cost(*(float(of_run[name].sel(stage=stage)) for name in COSTS))
                for stage in node["stage"].to_numpy()
            }
    return found


def in_words(results: xr.DataTree) -> list[tuple[str, ...]]:
    """A row with the columns `COLUMNS` for each rule that is known to have run, and device."""
    rows: dict[str, dict[str, list[Cost]]] = {}
    for rule, device, cost in _jobs(results):
        if not np.isnan(cost.seconds):
            rows.setdefault(rule, {}).setdefault(device, []).append(cost)
    return [
        (rule, device, *_row(np.array([astuple(cost) for cost in jobs])))
        for rule, devices in rows.items()
        for device, jobs in devices.items()
    ]


def _jobs(results: xr.DataTree) -> Iterator[tuple[str, str, Cost]]:
    """Each job once: rule, device of the run and cost."""
    costs, datasets = costs_of(results), set()
    for node in results.children.values():
        names = ("run", "part", "dataset", "device")
        for run, part, dataset, device in zip(
            *(node[name].to_numpy() for name in names), strict=True
        ):
            for stage, cost in costs[str(run)].items():
                if stage == _PREPARING and (part, dataset) in datasets:
                    continue
                yield stage.partition("/")[0], str(device), cost
            datasets.add((part, dataset))


def _row(jobs: np.ndarray) -> tuple[str, ...]:
    seconds, memory, sizes = jobs.T
    known = ~np.isnan(sizes)
    of_some = "" if known.all() else f" ({known.sum()} jobs)"
    return (
        str(len(jobs)),
        f"{seconds.sum() / 60:.2f}",
        f"{seconds.max() / 60:.2f}",
        "-" if np.isnan(memory).all() else f"{np.nanmax(memory):.0f}",
        f"{sizes[known].sum() / _MEGABYTE:.1f}{of_some}" if known.any() else "-",
    )
