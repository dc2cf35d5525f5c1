"""Made-up analysed runs: what `analyse` gives, with numbers of the test's choice."""

import json
from collections.abc import Iterable

import numpy as np
import xarray as xr

from flatness.analysis.analysed_run import AnalysedRun

ITERATIONS = (0, 100, 1000, 2000, 3000, 4000, 5000, 6000)
SAMPLE_SETS = ("train", "test", "misclassified")
CURVES = {
    "train_loss": np.geomspace(1, 1e-3, 8),
    "train_accuracy": np.array([0.1, 0.9, 0.9995, 1, 1, 1, 1, 1]),
    "test_loss": np.geomspace(1, 1e-2, 8),
    "test_accuracy": np.linspace(0.1, 0.95, 8),
}


def analysed(runs: Iterable[xr.Dataset]) -> list[AnalysedRun]:
    """What figures, tables and claims are given of made-up files."""
    return [AnalysedRun(run) for run in runs]


def settings_of(run: xr.Dataset) -> dict:
    """The settings in a made-up file."""
    return json.loads(run.attrs["settings"])


def analysed_run(
    *,
    study: str = "mlp_numbers",
    network: str = "mlp",
    learning_rate: float = 0.1,
    batch_size: int = 20,
    seed: int = 0,
    diverged: bool = False,
    slack: dict[str, np.ndarray] | None = None,
    **values,
) -> xr.Dataset:
    """The file of one analysed run with 8 checkpoints.

    Args:
        slack: by name of an inequality, what broadcasts to (checkpoint, sample_set).
        values: by name of a quantity, what broadcasts to (checkpoint, sample_set), or to
            (checkpoint,) for the four training curves; what is not given is drawn at random
            from the run's settings.
    """
    draw = np.random.default_rng([int(1e4 * learning_rate), batch_size, seed])
    shape = (len(ITERATIONS), len(SAMPLE_SETS))
    names = (
        "sharpness",
        "sqrt_sharpness",
        "log_volume",
        "log_volume_top3",
        "log_mean_volume",
        "mean_input_gradient_sq_norm",
        "mls",
        "local_dimension",
        "mls_bound_b",
        "mls_bound_c",
        "mls_bound_d",
        "mls_bound_unshared",
        "nmls",
        "hessian_trace",
        "hessian_trace_standard_error",
        "hessian_gap",
        "mean_residual_norm",
        "sharpness_before_last_layer",
        "sqrt_sharpness_before_last_layer",
        "adaptive_sharpness",
        "sqrt_adaptive_sharpness",
        "relative_flatness",
        "nvr",
    )
    quantities = {name: draw.uniform(0.5, 2, shape) for name in names}
    unknown = set(values) - set(names) - set(CURVES)
    assert not unknown, unknown
    for name in set(values) - set(CURVES):
        quantities[name] = np.broadcast_to(np.asarray(values[name], float), shape).copy()
    curves = {name: np.broadcast_to(values.get(name, CURVES[name]), shape[:1]) for name in CURVES}
    slack = slack or {"a_b": 0.1, "b_c": 0.2, "c_d": 0.9}
    left = draw.uniform(-1, 1, (len(slack), *shape))
    slacks = np.stack([np.broadcast_to(np.asarray(each, float), shape) for each in slack.values()])
    by_set = ("checkpoint", "sample_set")
    by_inequality = ("inequality", *by_set)
    name = f"{study}_lr{learning_rate:g}_bs{batch_size}_seed{seed}"
    return xr.Dataset(
        {name: (by_set, value) for name, value in quantities.items()}
        | {name: ("checkpoint", value) for name, value in curves.items()}
        | {
            "generalisation_gap": ("checkpoint", curves["test_loss"] - curves["train_loss"]),
            "input_weight_spectral_norm": ("checkpoint", draw.uniform(1, 2, shape[0])),
            "misclassified_total": ("checkpoint", np.full(shape[0], 30)),
            "sample_count": (by_set, np.broadcast_to([100, 100, 30], shape)),
            "zero_singular_values": (by_set, np.zeros(shape, int)),
            "unresolved_singular_values": (by_set, np.zeros(shape, int)),
            "log10_left": (by_inequality, left),
            "log10_right": (by_inequality, left + slacks),
            "slack": (by_inequality, slacks),
            "tightest_sample": (by_inequality, np.full(slacks.shape, -1)),
        },
        coords={
            "iteration": ("checkpoint", list(ITERATIONS)),
            "epoch": ("checkpoint", np.array(ITERATIONS) / 100),
            "sample_set": np.array(SAMPLE_SETS, dtype=object),
            "inequality": np.array(list(slack), dtype=object),
        },
        attrs={
            "dtype": "float32",
            "run": name,
            "study": study,
            "dataset": "numbers",
            "dataset_checksum": "0123456789abcdef",
            "source": "flatness test",
            "commit": "c0ffee",
            "analysis_commit": "c0ffee",
            "training": json.dumps({"commit": "c0ffee"}),
            "outputs": 10,
            "processor": "a processor",
            "diverged": int(diverged),
            "excluded_because": "the loss is not finite at iteration 7" if diverged else "",
            "settings": json.dumps(
                {
                    "run": name,
                    "network": {"name": network, "activation": "tanh"},
                    "learning_rate": learning_rate,
                    "batch_size": batch_size,
                    "seed": seed,
                    "iterations": ITERATIONS[-1],
                    "early_checkpoints": 2,
                    "late_checkpoints": 6,  # all but the first two are evenly spaced
                    "loss": "mse",
                }
            ),
        },
    )
