"""The runs of a study that are finished, from its folder of results, in one file."""

import json
from collections.abc import Collection
from pathlib import Path

import xarray as xr

from flatness.analysis.seeds import settings_of
from flatness.errors import StorageError
from flatness.publication.costs import Cost, read_cost
from flatness.publication.results import condense
from flatness.settings import Run, Settings, table_of_runs, training_plan
from flatness.storage import read_dataset


def gather(
    folder: str | Path, settings: Settings, only: Collection[str] | None = None
) -> xr.DataTree:
    """The runs that are analysed, whether the study is finished or was cut off.

    Args:
        folder: the study's, such as results/demo.
        settings: the whole configuration it was made with.
        only: names of the runs that are wanted; all that are there, if left out.

    Raises:
        StorageError: no run is there, a file is damaged, or a run was trained with other
            settings.
    """
    folder, runs, costs = Path(folder), [], {}
    for name, row in table_of_runs(settings).items():
        file = folder / f"analysis/{name}.nc"
        if (only is None or name in only) and file.exists():
            runs.append(read_dataset(file))
            _check_settings(file, runs[-1], training_plan(settings, row))
            costs[name] = _costs(folder, row, settings.studies[row.study].middle_layers)
    if not runs:
        raise StorageError(
            f"{folder}/analysis: holds none of the configuration's runs. Allowed: the folder of a "
            "study with at least one run that is trained, measured and analysed. Name that."
        )
    return condense(runs, settings, costs=costs)


def _check_settings(file: Path, run: xr.Dataset, plan: dict) -> None:
    found = settings_of(run)
    for key, value in json.loads(json.dumps(plan)).items():
        if found.get(key) != value:
            raise StorageError(
                f"{file}: was trained with {key} = {found.get(key)!r}. Allowed: {value!r}, as the "
                "configuration says. Name the configuration it was made with, or compute it anew."
            )


def _costs(folder: Path, row: Run, layers: tuple[str, ...]) -> dict[str, Cost]:
    """What the jobs of one run took, by stage, named and laid out as in workflow/rules."""
    files = {
        "prepare_dataset": (f"prepare_dataset/{row.dataset}", f"datasets/{row.dataset}.nc"),
        "train_run": (f"train_run/{row.id}", f"runs/{row.id}"),
        "measure_run": (f"measure_run/{row.id}", f"measurements/{row.id}.nc"),
    }
    for layer in layers:
        place = f"{row.id}/{layer}"
        files[f"measure_layer/{layer}"] = (f"measure_layer/{place}", f"middle_layers/{place}.nc")
    files["analyse_run"] = (f"analyse_run/{row.id}", f"analysis/{row.id}.nc")
    return {
        stage: read_cost(folder / f"benchmarks/{benchmark}.tsv", folder / output)
        for stage, (benchmark, output) in files.items()
    }
