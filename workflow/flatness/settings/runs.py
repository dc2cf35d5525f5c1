"""The table of runs: one row per study, learning rate, batch size and seed."""

from typing import Any

from flatness.settings.figures import Figure
from flatness.settings.model import Settings
from flatness.settings.run import Run


def number(value: float) -> str:
    """The shortest text that reads back as the same number, without a trailing .0."""
    return repr(value).removesuffix(".0")


def table_of_runs(settings: Settings) -> dict[str, Run]:
    """All runs of a configuration by id, in the order in which they are written there."""
    return {
        run.id: run
        for study_name, study in settings.studies.items()
        for setting in study.sweep
        for seed in study.seeds
        for run in [
            Run(
                id=f"{study_name}_lr{number(setting.learning_rate)}"
                f"_bs{setting.batch_size}_seed{seed}",
                study=study_name,
                dataset=study.dataset,
                learning_rate=setting.learning_rate,
                batch_size=setting.batch_size,
                seed=seed,
            )
        ]
    }


def runs_of_figure(table: dict[str, Run], figure: Figure) -> tuple[Run, ...]:
    """The runs that a figure shows."""
    return tuple(run for run in table.values() if figure.shows(run))


def runs_of_study(table: dict[str, Run], study: str | None) -> tuple[Run, ...]:
    """The runs of one study; none for None."""
    return tuple(run for run in table.values() if run.study == study)


def training_plan(settings: Settings, run: Run) -> dict[str, Any]:
    """Everything that decides the outcome of a run but the dataset itself."""
    study = settings.studies[run.study]
    return {
        "run": run.id,
        "network": study.network.model_dump(),
        "loss": study.loss,
        "learning_rate": run.learning_rate,
        "batch_size": run.batch_size,
        "seed": run.seed,
        "iterations": study.iterations,
        "early_checkpoints": study.checkpoints.early,
        "late_checkpoints": study.checkpoints.late,
        "device": settings.device,
        "threads": settings.training.threads,
        "iterations_per_graph": settings.training.iterations_per_graph,
    }
