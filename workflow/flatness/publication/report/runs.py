"""The runs of a report: a table of all, and short lists of some."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flatness.analysis.analysed_run import AnalysedRun
from flatness.figures.labels import words
from flatness.glossary.own import own_terms
from flatness.publication.report.cells import Cell, Table, numeric

# Final values that the table has, where the runs do.
_FINAL = (
    "train_loss",
    "test_loss",
    "test_accuracy",
    "sqrt_sharpness",
    "log_volume",
    "mean_input_gradient_sq_norm",
    "mls",
    "local_dimension",
)


@dataclass(frozen=True)
class Setting:
    """Some runs of one study, learning rate and batch size.

    Args:
        name: such as "mlp_digits, learning rate 0.1 (mse), batch size 20".
        seeds: each with the id of its run.
    """

    name: str
    seeds: Sequence[tuple[int, str]]


def by_setting(names: Iterable[str], runs: Mapping[str, AnalysedRun]) -> list[Setting]:
    """Runs in few words, in the order in which settings come.

    Args:
        names: ids.
        runs: by id, all that there are.
    """
    found: dict[str, list[tuple[int, str]]] = {}
    for run in (runs[name] for name in names):
        found.setdefault(setting_in_words(run), []).append((run.seed, run.id))
    return [Setting(name, seeds) for name, seeds in found.items()]


def setting_in_words(run: AnalysedRun) -> str:
    """All that a run is but its seed."""
    return f"{run.study}, learning rate {run.rate_in_words}, batch size {run.batch_size}"


def table_of_runs(
    runs: Sequence[AnalysedRun], *, sample_set: str, interpolation_accuracy: float
) -> Table:
    """A row for each run.

    Args:
        runs: all that there are.
        sample_set: where final quantities are measured.
        interpolation_accuracy: training accuracy from which a run interpolates.
    """
    shown = [name for name in (*_FINAL, *own_terms()) if any(name in run for run in runs)]
    only_mse = all(run.trained_on == "mse" for run in runs)
    head = (
        "study",
        *(("learning rate of mse",) if only_mse else ("learning rate", "of", "in mse")),
        "batch size",
        "seed",
        "iterations",
        "interpolates at",
        *(words(name).lower() for name in shown),
        "counts",
        "id",
    )
    rows = [
        (
            run.study,
            Cell(f"{run.learning_rate:g}", order=run.learning_rate, look="number"),
            *(() if only_mse else (run.trained_on, numeric(run.learning_rate_in_mse))),
            _count(run.batch_size),
            _count(run.seed),
            _count(int(run.iteration[-1])),
            _interpolation(run, interpolation_accuracy),
            *(numeric(run.final(name, sample_set)) if name in run else "-" for name in shown),
            Cell("yes") if run.counts else Cell(f"no: {run.excluded_because}", look="excluded"),
            Cell(run.id, look="id"),
        )
        for run in runs
    ]
    return Table("Runs", head, rows, [f"run-{run.id}" for run in runs])


def _interpolation(run: AnalysedRun, accuracy: float) -> Cell:
    iteration = run.interpolation(accuracy) if run.counts else None
    return Cell("never", look="number") if iteration is None else _count(iteration)


def _count(number: int) -> Cell:
    return Cell(f"{number:,}", order=number, look="number")
