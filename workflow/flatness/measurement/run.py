"""Measuring every checkpoint of one training run."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from torch.nn import functional

from flatness.errors import MeasurementError
from flatness.experiment.checkpoints import TrainedRun, read_run
from flatness.experiment.device import configure, device_name, memory_format
from flatness.experiment.networks import build
from flatness.experiment.prepared import PreparedDataset, load_prepared
from flatness.experiment.repeatable import repeatable_operations
from flatness.glossary import annotate
from flatness.glossary.primitives import PRIMITIVES
from flatness.measurement.curvature import curvature
from flatness.measurement.measuring import measure
from flatness.measurement.together import together
from flatness.progress.share import done, part, step
from flatness.provenance import provenance
from flatness.storage import write_dataset

log = logging.getLogger(__name__)

SAMPLE_SETS = ("train", "test", "misclassified")
_CURVES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


def measure_run(
    trained: str | Path,
    dataset: str | Path,
    output: str | Path,
    *,
    dataset_name: str,
    chunk_size: int,
    minibatch_window: int,
    curvature_options: Mapping[str, int] | None = None,
    layer: str | None = None,
    code: str = "",
) -> None:
    """Measure all checkpoints of a run on the three sample sets and write one netCDF file.

    The set `misclassified` holds, at each checkpoint, the first wrongly classified test
    images in the dataset's fixed order; unused places are NaN, or -1 for integers. A
    sample that is in two sets is measured once. A run that diverged ends at the first
    checkpoint whose numbers overflow.

    Args:
        trained: the finished run (see `checkpoints`).
        dataset: the prepared dataset that it was trained on.
        output: where the file goes.
        dataset_name: what the configuration calls the dataset.
        chunk_size: see `measure`.
        minibatch_window: iterations over which mini-batch losses are averaged.
        curvature_options: `probes` and `exact_products`, see `curvature`; None leaves it out.
        layer: name of a module to measure in the place of the network's output.
        code: fingerprint of the measuring code, for provenance.

    Raises:
        DeviceError: the device that the run names cannot be used.
        StorageError: a file is damaged.
        MeasurementError: a checkpoint of a run that did not diverge cannot be measured.
    """
    run, data = read_run(trained), load_prepared(dataset)
    plan = run.facts["plan"]
    device = configure(plan["device"], plan["threads"])
    network = build(plan["network"], data.train_inputs.shape[1:], data.outputs, plan["seed"])
    network.to(device, memory_format=memory_format(network, device)).eval()
    diverged_at = run.facts["diverged_at"]
    options = {"chunk_size": chunk_size, "layer": layer}
    measured = []
    done(0)
    for position, iteration in enumerate(run.iterations):
        network.load_state_dict(run.weights(iteration))
        predicted = run.record["test_prediction"][position].numpy()
        try:
            with repeatable_operations(device), step(1 / len(run.iterations)):
                measured.append(
                    _measure_checkpoint(
                        network, data, predicted, device, options, curvature_options
                    )
                )
        except MeasurementError as error:
            if diverged_at is None:
                raise
            log.warning("%s: iteration %d is not measured: %s", plan["run"], iteration, error)
            break
        log.info("%s: measured iteration %d", plan["run"], iteration)
    iterations = np.array(run.iterations[: len(measured)])
    dataset_of_run = together(measured, "checkpoint").assign(
        _training_curve(run, len(measured), minibatch_window)
    )
    dataset_of_run = dataset_of_run.assign_coords(
        iteration=("checkpoint", iterations),
        epoch=("checkpoint", iterations / run.facts["iterations_per_epoch"]),
        sample_set=np.array(SAMPLE_SETS, dtype=object),
    )
    dataset_of_run.attrs |= provenance(
        run=plan["run"],
        settings=plan,
        seed=plan["seed"],
        device=device_name(device),
        threads=plan["threads"],
        dataset=dataset_name,
        dataset_checksum=data.checksum,
        outputs=data.outputs,
        training=run.facts,
        measuring=options | {"curvature": dict(curvature_options or {}), "code": code},
        diverged=int(diverged_at is not None),
        excluded_because=(
            "" if diverged_at is None else f"the loss is not finite at iteration {diverged_at}"
        ),
    )
    write_dataset(annotate(dataset_of_run, PRIMITIVES), output)


def _measure_checkpoint(
    network: nn.Module,
    data: PreparedDataset,
    predicted: np.ndarray,
    device: torch.device,
    options: Mapping[str, Any],
    curvature_options: Mapping[str, int] | None,
) -> xr.Dataset:
    """The primitives of one checkpoint, with the dimensions sample_set and sample."""
    wrong = data.test_order[(predicted != data.test_targets)[data.test_order]]
    misclassified = wrong[: data.samples]
    test = np.union1d(data.test_samples, misclassified)
    inputs = torch.from_numpy(
        np.concatenate([data.train_inputs[data.train_samples], data.test_inputs[test]])
    ).to(device, memory_format=memory_format(network, device))
    # The curvature, which tells nothing meanwhile, takes about as long again.
    with part(1 if curvature_options is None else 1 / 2):
        primitives = measure(network, inputs, **options)
    if curvature_options is not None:
        labels = np.concatenate([data.train_targets[data.train_samples], data.test_targets[test]])
        targets = functional.one_hot(torch.from_numpy(labels).long(), data.outputs).to(inputs)
        found = curvature(
            network, inputs, targets, chunk_size=options["chunk_size"], **curvature_options
        )
        primitives = primitives.merge(found, join="exact")

    after_train = len(data.train_samples)
    sets = {
        "train": (data.train_samples, data.train_targets, np.arange(after_train)),
        "test": (
            data.test_samples,
            data.test_targets,
            after_train + np.searchsorted(test, data.test_samples),
        ),
        "misclassified": (
            misclassified,
            data.test_targets,
            after_train + np.searchsorted(test, misclassified),
        ),
    }
    members = []
    for indices, labels, rows in (sets[name] for name in SAMPLE_SETS):
        member = primitives.isel(sample=rows).assign(
            label=("sample", labels[indices]),
            sample_index=("sample", indices),
            sample_count=((), len(indices)),
        )
        missing = data.samples - len(indices)
        # Without a value of its own, a variable would be filled with zeros.
        unused = {name: -1 if v.dtype.kind == "i" else np.nan for name, v in member.items()}
        members.append(member.pad(sample=(0, missing), constant_values=unused))
    per_sample = [name for name, variable in members[0].items() if "sample" in variable.dims]
    sets_together = together(members, "sample_set", [*per_sample, "sample_count"])
    return sets_together.assign(misclassified_total=((), len(wrong)))


def _training_curve(
    run: TrainedRun, checkpoints: int, window: int
) -> dict[str, tuple[str, np.ndarray]]:
    """The curves at the first checkpoints, and mini-batch losses averaged over whole windows."""
    losses: Tensor = run.record["minibatch_loss"]
    windows = len(losses) // window
    averaged = losses[: windows * window].double().reshape(windows, window).mean(1)
    curves = {name: ("checkpoint", run.record[name][:checkpoints].numpy()) for name in _CURVES}
    return curves | {
        "minibatch_loss": ("window", averaged.numpy()),
        "window_end": ("window", window * np.arange(1, windows + 1)),
    }
