"""Opening results, wherever they come from."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import xarray as xr

from flatness.analysis.analysed_run import AnalysedRun, read_runs
from flatness.analysis.groups import by_study
from flatness.errors import SettingsError, StorageError
from flatness.publication.configuration import with_seeds
from flatness.publication.paper import papers_settings
from flatness.publication.results import NUMBERS, TEXTS, separate, together
from flatness.settings import Settings, load_settings, runs_of_study, table_of_runs
from flatness.settings.captions import captions_that_hold
from flatness.storage import read_tree

_NEEDED = {*TEXTS, *NUMBERS, "iteration", "sharpness", "slack", "checkpoint_count", "part"}


class Results:
    """The analysed runs of some studies.

    Attributes:
        studies: by name, their runs, whether these count or not.
    """

    def __init__(
        self,
        studies: Mapping[str, Sequence[AnalysedRun]],
        data: Callable[[str], xr.Dataset],
        place: str,
    ):
        """Hold runs and the function that gives their numbers by study.

        Args:
            studies: runs by study.
            data: what `data` is to return.
            place: where they come from, for messages.
        """
        self.studies = {study: list(runs) for study, runs in studies.items()}
        self._data = data
        self._place = place

    def __repr__(self) -> str:
        studies = ", ".join(f"{len(runs)} runs of {name}" for name, runs in self.studies.items())
        return f"<Results {self._place}: {studies}>"

    @property
    def runs(self) -> list[AnalysedRun]:
        """The runs of all studies."""
        return [run for runs in self.studies.values() for run in runs]

    def __iter__(self) -> Iterator[str]:
        """The names of the studies."""
        return iter(self.studies)

    def __contains__(self, study: object) -> bool:
        """Whether there is a study of that name."""
        return study in self.studies

    def __len__(self) -> int:
        """How many studies there are."""
        return len(self.studies)

    def __getitem__(self, study: str) -> list[AnalysedRun]:
        """The runs of one study.

        Raises:
            StorageError: there is none of that name.
        """
        if study not in self.studies:
            raise StorageError(
                f"{self._place}: {study!r} is no study. Allowed: {', '.join(self.studies)}. "
                "Name one of these."
            )
        return self.studies[study]

    def data(self, study: str) -> xr.Dataset:
        """The numbers of all runs of one study, in one Dataset.

        Returns:
            Quantities, such as `sharpness`, over (run, checkpoint, sample_set); learning_rate,
            batch_size, seed and loss are coordinates of run. See `flatness.publication.results`.

        Raises:
            StorageError: there is none of that name, or its runs were analysed by versions that do
                not fit together.
        """
        self[study]
        return self._data(study)


def open_results(path: str | Path) -> Results:
    """Read all analysed runs of a folder of results, or those that are published.

    Args:
        path: results/NAME of a configuration, finished or not; the folder of a publication; its
            results.nc; or one part of it.

    Raises:
        StorageError: there is no run, or a file is damaged or of something else.
    """
    path = Path(path)
    if path.is_dir() and not (path / "results.nc").exists():
        return _of_folder(path)
    results = read_results(path / "results.nc" if path.is_dir() else path)
    return Results(separate(results), lambda study: results[study].to_dataset(), str(path))


def _of_folder(folder: Path) -> Results:
    # What begins with a dot is the unfinished file of a job.
    files = (folder / "analysis").glob("[!.]*.nc")
    runs = read_runs(files)
    if not runs:
        raise StorageError(
            f"{folder}: holds no analysis/*.nc and no results.nc. Allowed: RESULTS/NAME of a "
            "configuration with at least one run that is analysed, such as results/demo, or a "
            "publication. Name that."
        )
    studies = by_study(sorted(runs, key=lambda run: (run.study, run.setting, run.seed)))
    return Results(studies, lambda study: together(studies[study]), str(folder))


def read_results(path: str | Path) -> xr.DataTree:
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


def settings_of_publication(results: xr.DataTree) -> Settings:
    """The configuration inside, with the seeds that have runs.

    Results of an earlier version have no captions; where their figures show what the paper's do,
    they get those of its configuration.
    """
    seeds = {
        study: set(map(int, node["seed"].to_numpy())) for study, node in results.children.items()
    }
    settings = with_seeds(settings_of(results), seeds)
    mapping, paper = (
        each.model_dump(mode="json", exclude_none=True) for each in (settings, papers_settings())
    )
    for name, caption in captions_that_hold(mapping, paper).items():
        mapping["figures"][name].setdefault("caption", caption)
    return load_settings(mapping, "results")


def _no_results(path: str | Path, why: str) -> StorageError:
    return StorageError(
        f"{path}: holds no results of studies: {why}. Allowed: the results.nc of a publication, "
        "such as results/demo/publication/results.nc, or a part that `flatness part` wrote. Name "
        "such a file."
    )
