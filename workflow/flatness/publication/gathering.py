"""The runs of a study that are finished, from its folder of results, in one file."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from flatness.analysis.analysed_run import AnalysedRun
from flatness.errors import StorageError
from flatness.publication.costs import Cost, read_cost
from flatness.publication.made_with import check_datasets, check_run
from flatness.publication.results import condense
from flatness.settings import Run, Settings, load_settings, table_of_runs
from flatness.storage import read_dataset, write_tree


def gather_study(
    analyses: Sequence[str | Path],
    part: str | Path,
    *,
    settings: Mapping[str, Any],
    runs: Collection[str],
) -> None:
    """As `gather`, into a file in the study's folder.

    Args:
        analyses: the files of the analysed runs.
        part: the file that is written.
        settings: the configuration as a mapping.
        runs: names of the runs that are wanted.
    """
    read_dataset(analyses[0])  # figures may name quantities of one's own in it
    asked = load_settings(settings, "the configuration")
    write_tree(gather(Path(part).parent, asked, runs), part)


def gather(
    folder: str | Path, settings: Settings, only: Collection[str] | None = None
) -> xr.DataTree:
    """The runs that are analysed, whether the study is finished or was cut off.

    Args:
        folder: the study's, such as results/demo.
        settings: the whole configuration it was made with.
        only: names of the runs that are wanted; all that are there, if left out.

    Raises:
        StorageError: no run is there, a file is damaged, or what is there was made with other
            settings.
    """
    folder, runs, costs = Path(folder), [], {}
    for name, row in table_of_runs(settings).items():
        file = folder / f"analysis/{name}.nc"
        if (only is None or name in only) and file.exists():
            runs.append(AnalysedRun(read_dataset(file)))
            check_run(file, runs[-1], settings, row)
            costs[name] = _costs(folder, row, settings.studies[row.study].middle_layers)
    if not runs:
        raise StorageError(
            f"{folder}/analysis: holds none of the configuration's runs. Allowed: the folder of a "
            "study with at least one run that is trained, measured and analysed. Name that."
        )
    check_datasets(folder, runs, settings)
    return condense(runs, settings, costs=costs)


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
