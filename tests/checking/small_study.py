"""A study of three short runs on the digits, trained, measured, analysed and published."""

import copy
from pathlib import Path

from flatness.analysis.analyse import analyse_run
from flatness.analysis.analysed_run import read_runs
from flatness.experiment.prepared import prepare
from flatness.experiment.training import TrainingPlan, train
from flatness.measurement.run import measure_run
from flatness.publication.costs import Cost
from flatness.publication.publish import publish
from flatness.publication.results import condense
from flatness.settings import load_settings, table_of_runs, training_plan

RUNS = ("small_lr0.1_bs20_seed0", "small_lr0.2_bs20_seed0", "small_lr0.4_bs20_seed0")
CONFIGURATION = {
    "name": "of_digits",
    "device": "cpu",
    "datasets": {"numbers": {"source": "digits", "outputs": 10, "samples": 12}},
    "studies": {
        "small": {
            "network": {"name": "mlp", "activation": "tanh", "hidden_width": 8, "hidden_layers": 1},
            "dataset": "numbers",
            "loss": "mse",
            "sweep": [
                {"learning_rate": 0.1, "batch_size": 20},
                {"learning_rate": 0.2, "batch_size": 20},
                {"learning_rate": 0.4, "batch_size": 20},
            ],
            "seeds": [0],
            "iterations": 60,
            "checkpoints": {"early": 4, "late": 2},
        }
    },
    "measuring": {"hessian_probes": 2, "minibatch_window": 5},
    "analysis": {"bootstrap_draws": 100},
    "figures": {
        "curves": {"kind": "trends", "study": "small", "compare": "learning_rate", "fixed": 20},
        "pairs": {"kind": "pair_grid", "study": "small", "quantities": ["mls", "log_volume"]},
    },
    "claims": {"mlp": "small"},
}


def configuration(**changed) -> dict:
    """A configuration, as a mapping that may be changed."""
    return copy.deepcopy(CONFIGURATION | changed)


def published(folder: Path, scratch: Path, given: dict) -> Path:
    """Compute a study as the workflow does, and publish it.

    Args:
        folder: of the publication.
        scratch: where what is in between goes.
        given: the configuration.
    """
    settings, analyses = load_settings(given, "the test's"), []
    for name, entry in settings.datasets.items():
        facts = {"dataset": name}
        prepare(entry.model_dump(mode="json"), Path("none"), False, scratch / name, facts)
    for row in table_of_runs(settings).values():
        data, plan = scratch / row.dataset, TrainingPlan(**training_plan(settings, row))
        trained, measured = (scratch / f"{row.id}.{kind}" for kind in ("safetensors", "nc"))
        train(plan, data, trained, scratch / "state")
        measuring = settings.measuring
        measure_run(
            trained,
            data,
            measured,
            dataset_name=row.dataset,
            chunk_size=measuring.chunk_size,
            minibatch_window=measuring.minibatch_window,
            curvature_options={
                "probes": measuring.hessian_probes,
                "exact_products": measuring.hessian_exact_products,
            },
        )
        analyses.append(scratch / f"{row.id}.analysed.nc")
        powers = settings.analysis.bound_powers
        analyse_run(measured, analyses[-1], study=row.study, powers=powers)
    costs = {
        run: {"prepare_dataset": Cost(3.0), "train_run": Cost(100.0), "measure_run": Cost(14.0)}
        for run in table_of_runs(settings)
    }
    publish(condense(read_runs(analyses), settings, costs=costs), folder)
    return folder
