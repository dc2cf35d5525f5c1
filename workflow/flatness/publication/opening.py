"""Opening a file of results, wherever it comes from."""

import json
from pathlib import Path

import xarray as xr

from flatness.errors import SettingsError, StorageError
from flatness.publication.results import NUMBERS, TEXTS
from flatness.settings import Settings, load_settings, runs_of_study, table_of_runs
from flatness.storage import read_tree

_NEEDED = {*TEXTS, *NUMBERS, "iteration", "sharpness", "slack", "checkpoint_count", "part"}


def open_results(path: str | Path) -> xr.DataTree:
    """Read a publication's results.nc, or one part of it, and verify its checksum.

    Args:
        path: of the file.

    Returns:
        A group for each study, by its name. Its quantities, such as `sharpness`, are over (run,
        checkpoint, sample_set), and learning_rate, batch_size, seed and loss are coordinates of
        run; see `flatness.publication.results`.

    Raises:
        StorageError: the file is absent, damaged, or no file of results.
    """
    results = read_tree(path, "Use a sound copy, or leave it out.")
    try:
        settings = settings_of(results)
    except (KeyError, ValueError, SettingsError) as error:
        raise _no_results(path, "it has no sound configuration") from error
    table = table_of_runs(settings)
    if not results.children:
        raise _no_results(path, "it has no studies")
    for study, node in results.children.items():
        lacking = sorted(_NEEDED - set(node.variables))
        if lacking:
            raise _no_results(path, f"study {study!r} has no {lacking[0]}")
        known = {run.id for run in runs_of_study(table, study)}
        unknown = sorted(set(node["run"].to_numpy().tolist()) - known)
        if unknown or node.children:
            what = unknown[0] if unknown else next(iter(node.children))
            raise _no_results(path, f"{what!r} is no run of study {study!r} in its configuration")
    return results


def settings_of(results: xr.DataTree) -> Settings:
    """The configuration inside, with the seeds of the whole study."""
    return load_settings(json.loads(results.attrs["configuration"]), "its configuration")


def _no_results(path: str | Path, why: str) -> StorageError:
    return StorageError(
        f"{path}: holds no results of studies: {why}. Allowed: the results.nc of a publication, "
        "such as results/demo/publication/results.nc, or a part that `flatness part` wrote. Name "
        "such a file."
    )
