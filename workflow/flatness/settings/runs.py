"""The table of runs: one row per study, learning rate, batch size and seed."""

from typing import Any

from flatness.errors import SettingsError
from flatness.run_id import run_id
from flatness.settings.figures import Figure
from flatness.settings.model import Settings
from flatness.settings.run import Run


def table_of_runs(settings: Settings) -> dict[str, Run]:
    """All runs by id: studies and settings in the order of the configuration, seeds rising.

    So the order, which tables depend on, is the same however the seeds came together.
    """
    return {
        run.id: run
        for study_name, study in settings.studies.items()
        for setting in study.sweep
        for seed in sorted(study.seeds)
        for run in [
            Run(
                id=run_id(study_name, setting.learning_rate, setting.batch_size, seed),
                study=study_name,
                dataset=study.dataset,
                learning_rate=setting.learning_rate,
                batch_size=setting.batch_size,
                seed=seed,
            )
        ]
    }


def runs_with_seeds(
    table: dict[str, Run], seeds: object, place: str = "--config seeds="
) -> dict[str, Run]:
    """The runs of some seeds, or all for None.

    Args:
        table: from `table_of_runs`.
        seeds: as `--config seeds=[0,1]` or `--config seeds=0` gives it.
        place: of the seeds, before a wrong one in the message.

    Raises:
        SettingsError: one of them is no seed of the configuration.
    """
    if seeds is None:
        return table
    known = {str(seed): seed for seed in sorted({run.seed for run in table.values()})}
    wanted = list(map(str, seeds)) if isinstance(seeds, list) else [str(seeds)]
    for seed in wanted or ["[]"]:
        if seed not in known:
            raise SettingsError(
                f"{place}{seed}: is no seed of the configuration. Allowed: "
                f"{', '.join(known)}. Name some of these, such as {place}{next(iter(known))}, or "
                "leave it out."
            )
    return {name: run for name, run in table.items() if str(run.seed) in wanted}


def runs_of_figure(table: dict[str, Run], figure: Figure) -> tuple[Run, ...]:
    """The runs that a figure shows."""
    return tuple(run for run in table.values() if figure.shows(run))


def runs_of_study(table: dict[str, Run], study: str | None) -> tuple[Run, ...]:
    """The runs of one study; none for None."""
    return tuple(run for run in table.values() if run.study == study)


def training_plan(settings: Settings, run: Run) -> dict[str, Any]:
    """Everything that decides the outcome of a run but the dataset itself."""
    study = settings.studies[run.study]
    # A CPU ignores it, so there it is no part of a run.
    per_graph = 0 if settings.device == "cpu" else settings.training.iterations_per_graph
    # Runs of plain SGD say nothing of it, as all did before there was another optimiser.
    optimiser = {} if study.optimiser is None else {"optimiser": study.optimiser.model_dump()}
    return optimiser | {
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
        "iterations_per_graph": per_graph,
    }
