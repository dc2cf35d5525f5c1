"""Made-up files of results: several studies, networks and seeds."""

import copy
import json

from flatness.publication.costs import Cost
from flatness.publication.results import condense
from flatness.settings import load_settings
from tests.analysis.made_up import analysed, analysed_run

REASON = "no linear layer reads the inputs"
_DATASET = {"source": "digits", "outputs": 10}
_STUDY = {
    "dataset": "numbers",
    "loss": "mse",
    "sweep": [
        {"learning_rate": 0.1, "batch_size": 20},
        {"learning_rate": 0.2, "batch_size": 20},
        {"learning_rate": 0.1, "batch_size": 8},
    ],
    "seeds": [0, 1, 2, 3],
    "iterations": 6000,
    "checkpoints": {"early": 3, "late": 4},
}
CONFIGURATION = {
    "name": "made_up",
    "datasets": {"numbers": _DATASET},
    "studies": {
        "vgg": _STUDY | {"network": {"name": "vgg10", "activation": "relu"}},
        "mlp_numbers": _STUDY | {"network": {"name": "mlp", "activation": "tanh"}},
    },
    "analysis": {"bootstrap_draws": 100},
    "figures": {
        "fig1": {
            "kind": "trends",
            "title": "Figure 1",
            "study": "vgg",
            "compare": "learning_rate",
            "fixed": 20,
        },
        "figD6": {"kind": "pair_grid", "study": "mlp_numbers", "seeds": [0, 1]},
    },
    "claims": {"vgg10": "vgg", "mlp": "mlp_numbers"},
}


def configuration(**changed) -> dict:
    """A configuration, as a mapping that may be changed."""
    return copy.deepcopy(CONFIGURATION | changed)


def made_up_run(**options):
    """An analysed run with all attributes of its own file."""
    run = analysed_run(**options)
    versions = {"python": "3.11.7", "torch": "2.15.0"}
    run.attrs |= {
        "device": "cpu",
        "machine": "x86_64",
        "threads": 1,
        "versions": json.dumps(versions),
        "training": json.dumps({"commit": "beef", "processor": "a processor"}),
        "measuring": "{}",
        "seed": options.get("seed", 0),
    }
    return run


def made_up_runs(seeds=range(4)):
    """Two studies: VGG10 without bounds of Eq. 28, and MLPs of which one diverged early."""
    runs = []
    for rate, size in ((0.1, 20), (0.2, 20), (0.1, 8)):
        for seed in seeds:
            of = {"learning_rate": rate, "batch_size": size, "seed": seed}
            vgg = made_up_run(study="vgg", network="vgg10", **of)
            for name in ("mls_bound_b", "mls_bound_c", "mls_bound_d"):
                vgg[name] = vgg[name] * float("nan")
                vgg[name].attrs["absent"] = REASON
            vgg["slack"].attrs["absent"] = json.dumps({"a_b": REASON})
            runs.append(vgg.isel(checkpoint=slice(0, 7)))
            diverged = (rate, seed) == (0.2, 3)
            mlp = made_up_run(**of, diverged=diverged)
            if diverged:
                mlp["hessian_gap"].attrs["absent"] = "curvature was not measured"
            runs.append(mlp.isel(checkpoint=slice(0, 3)) if diverged else mlp)
    return runs


def made_up_results(seeds=range(4), runs=None, **changed):
    """A file of results of the runs of some seeds."""
    runs = made_up_runs(seeds) if runs is None else runs
    costs = {
        run.attrs["run"]: {
            "prepare_dataset": Cost(30, 100, 1e6),
            "train_run": Cost(60.0 * (1 + run.attrs["seed"]), 500, 2e6),
            "analyse_run": Cost(0.3),
        }
        for run in runs
    }
    settings = load_settings(configuration(**changed), "made up")
    return condense(analysed(runs), settings, costs=costs)
