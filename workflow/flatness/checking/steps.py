"""The steps of a check, in their order."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import xarray as xr

from flatness.analysis.analysed_run import AnalysedRun
from flatness.checking.choosing import Part, choose
from flatness.checking.configuration import check_configuration
from flatness.checking.figures import SECONDS_PER_FIGURE, DrawnOnce, check_figures
from flatness.checking.images import located, why_absent
from flatness.checking.inequalities import check_inequalities
from flatness.checking.one_run import check_run
from flatness.checking.pages import SECONDS_PER_FIGURE_OF_REPORT, check_pages
from flatness.checking.step import Found, Step
from flatness.checking.tables import SECONDS_PER_RUN, check_tables
from flatness.experiment.networks import FACTORY
from flatness.publication.all_figures import figures_with_runs
from flatness.publication.costs import costs_of
from flatness.publication.opening import settings_of_publication
from flatness.publication.results import every_run
from flatness.settings import Settings

# Of one publication and one core, each; measured as those of figures and tables.
_AT_ONCE = 0.5


@dataclass(frozen=True)
class Training:
    """What is wanted of the run that is trained anew.

    Args:
        run: its id, or None for one that takes about a minute.
        iterations: how many, or None for as many as take about a minute.
        data: folder of images; an absolute path where there is `own_code`.
        download: whether archives that are absent may be downloaded into it.
        own_code: folder of the code that the configuration names, which is run; None to run none.
    """

    run: str | None
    iterations: int | None
    data: Path
    download: bool
    own_code: Path | None


def steps(publication: Path, output: Path, results: xr.DataTree, training: Training) -> list[Step]:
    """What a check of a publication does.

    Args:
        publication: its folder.
        output: where tables and figures go.
        results: its results.
        training: what is wanted of the run that is trained anew.

    Raises:
        FlatnessError: there is no such run.
    """
    settings, runs = settings_of_publication(results), every_run(results)
    drawn = len(figures_with_runs(settings, [run.id for run in runs]))
    tables, figures = output / "tables", DrawnOnce(results, settings, output / "figures")
    return [
        Step(
            "configuration",
            "compare it with that in results.nc, and with what each run says",
            _AT_ONCE,
            partial(check_configuration, publication / "configuration.yaml", settings, runs),
        ),
        Step(
            "tables",
            f"make all anew from {len(runs)} runs and compare them byte for byte",
            SECONDS_PER_RUN * len(runs),
            partial(check_tables, publication / "tables", tables, results, settings),
        ),
        Step(
            "figures",
            f"draw {drawn} anew into {figures.folder}",
            SECONDS_PER_FIGURE * drawn,
            partial(check_figures, publication / "figures", figures),
        ),
        Step(
            "pages",
            "write README.md and report.html anew and compare them",
            SECONDS_PER_FIGURE_OF_REPORT * drawn,
            partial(check_pages, publication, output, results, settings, figures),
        ),
        Step(
            "inequalities",
            "check each at every checkpoint of every run",
            _AT_ONCE,
            partial(check_inequalities, results),
        ),
        _training(output, results, settings, runs, training),
    ]


def _training(
    output: Path,
    results: xr.DataTree,
    settings: Settings,
    runs: list[AnalysedRun],
    training: Training,
) -> Step:
    """The step that trains one run anew, or says why it cannot."""

    def obstacle(run: AnalysedRun) -> str | None:
        return _obstacle(settings, run, training)

    part = choose(
        runs, costs_of(results), training.run, training.iterations, lambda run: not obstacle(run)
    )
    why = obstacle(part.run)
    if why:
        left_out = Found((f"left out: {why}",), same="NOT CHECKED")
        return Step("one run", f"left out, {part.run.id}: {why}", 0, lambda: left_out)
    return Step(
        "one run",
        f"train {part.run.id} anew, {part.checkpoints[-1]:,} of its {part.run.iterations:,} "
        f"iterations, measure {len(part.checkpoints)} checkpoints and compare them",
        part.seconds,
        _made(output, settings, part, training),
    )


def _obstacle(settings: Settings, run: AnalysedRun, training: Training) -> str | None:
    """Why a run cannot be trained here; None if it can."""
    study = settings.studies[run.study]
    dataset = settings.datasets[study.dataset]
    own = [study.network.factory] if study.network.name == FACTORY else []
    own += [dataset.factory] if dataset.source == "factory" else []
    if own and training.own_code is None:
        return (
            f"it needs the code {' and '.join(own)}, which is no part of a publication. Name its "
            "folder with --own-code if you trust that code, since it is run"
        )
    with _in_folder(training.own_code):
        mapping = located(dataset.model_dump(mode="json"), training.data)
        return why_absent(mapping, training.data, training.download)


def _made(output: Path, settings: Settings, part: Part, training: Training) -> Callable[[], Found]:
    scratch, data = output.absolute(), training.data

    def made() -> Found:
        dataset = settings.datasets[part.run.dataset].model_dump(mode="json")
        with _in_folder(training.own_code):
            return check_run(
                part,
                settings,
                located(dataset, data),
                data,
                scratch,
                download=training.download,
            )

    return made


@contextlib.contextmanager
def _in_folder(folder: Path | None) -> Iterator[None]:
    """Be in the folder from which places of code are seen."""
    with contextlib.chdir(folder) if folder else contextlib.nullcontext():
        yield
