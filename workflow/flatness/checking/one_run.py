"""The beginning of one run, trained, measured and analysed anew, set against what is published."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr

from flatness.analysis.analyse import analyse_run
from flatness.analysis.analysed_run import AnalysedRun
from flatness.checking.agreement import TOLERANCE, distance, largest
from flatness.checking.choosing import Part
from flatness.checking.step import Found
from flatness.settings import Settings, table_of_runs, training_plan
from flatness.storage import read_dataset

# Losses are sums over all images in double precision; at iteration 0 nothing has been trained.
_OF_LOSSES = 1e-5
# Trained anew with older instruction sets than AVX-512 (SSE4, AVX2), an MLP was within 1e-4 for 106
# iterations and within 2e-2 for 2,963, a VGG10 with max-pooling within 2e-5 for 20.
_EARLY, _LATER = 20, 0.1
# A distance is a share of the value, which may pass through zero, and at least of so much of the
# largest one in the run.
_SMALL = 0.1
_LOSSES = ("train_loss", "test_loss")
_CURVES = (*_LOSSES, "train_accuracy", "test_accuracy", "misclassified_total")
# The same however the images are ordered, before anything is trained.
_OF_ALL_IMAGES = (*_CURVES, "input_weight_spectral_norm")
# Counts at the edge of resolution, and small differences of large numbers: nothing tells how far
# rounding carries them. What they are made of is compared.
_NOT_COMPARED = (
    *("zero_singular_values", "unresolved_singular_values", "generalisation_gap", "hessian_gap"),
    *("sample_count", "epoch", "iteration"),
)
_PLACE = ("versions", "machine", "processor", "device", "threads")


@dataclass(frozen=True)
class _Distance:
    """How far one variable at one checkpoint is from the published one."""

    iteration: int
    variable: str
    sample_set: str
    size: float

    @property
    def allowed(self) -> float:
        if self.variable in _LOSSES and self.iteration == 0:
            return _OF_LOSSES
        return TOLERANCE if self.iteration <= _EARLY else _LATER

    def __str__(self) -> str:
        where = f" of {self.sample_set}" if self.sample_set else ""
        return (
            f"{self.variable}{where} at iteration {self.iteration} is {self.size:.1e} of its "
            f"value away from the published one (allowed: {self.allowed:g})"
        )


def check_run(
    part: Part,
    settings: Settings,
    dataset: Mapping[str, Any],
    data: Path,
    scratch: Path,
    *,
    download: bool,
) -> Found:
    """Train the beginning of a run anew and compare it with what is published.

    Args:
        part: the run and the checkpoints.
        settings: of the publication.
        dataset: its entry in the configuration, with its place on this machine.
        data: folder of archives.
        scratch: a folder that may be written to; nothing is left in it.
        download: whether archives may be downloaded.

    Raises:
        FlatnessError: it cannot be trained or measured.
    """
    from flatness.experiment.prepared import prepare
    from flatness.experiment.training import TrainingPlan, train
    from flatness.measurement.run import measure_run

    run, measuring = part.run, settings.measuring
    plan = training_plan(settings, table_of_runs(settings)[run.id])
    plan["device"] = "cpu" if run.data.attrs["device"] == "cpu" else "auto"
    curvature = None
    if measuring.hessian_trace:
        curvature = {
            "probes": measuring.hessian_probes,
            "exact_products": measuring.hessian_exact_products,
        }
    with TemporaryDirectory(dir=scratch, prefix=".run-") as folder:
        prepared, trained, measured, analysed = (
            Path(folder, name)
            for name in ("dataset.nc", "run.safetensors", "measured.nc", "analysed.nc")
        )
        prepare(dataset, data, download, prepared, {"dataset": run.dataset})
        same_images = read_dataset(prepared).checksum == run.data.attrs["dataset_checksum"]
        train(
            TrainingPlan(**plan),
            prepared,
            trained,
            Path(folder, "state"),
            until=part.checkpoints[-1] if same_images else 0,
        )
        measure_run(
            trained,
            prepared,
            measured,
            dataset_name=run.dataset,
            chunk_size=measuring.chunk_size,
            minibatch_window=measuring.minibatch_window,
            curvature_options=curvature,
        )
        analyse_run(measured, analysed, study=run.study, powers=settings.analysis.bound_powers)
        again = read_dataset(analysed)
    return compared(run, again, same_images=same_images)


def compared(run: AnalysedRun, again: xr.Dataset, *, same_images: bool) -> Found:
    """Compare the beginning of a run with what is published of it.

    Args:
        run: as it is published.
        again: its first checkpoints, analysed anew.
        same_images: whether the prepared datasets are the same, order and samples included. Where
            they are not, only what depends on no order is compared, before anything is trained.
    """
    found = list(_distances(run.data, again, same_images))
    wrong = [each for each in found if not each.size <= each.allowed]
    count, last = again.sizes["checkpoint"], int(again["iteration"][-1])
    lines = [f"{run.id}: {count} of its {len(run.iteration)} checkpoints, iterations 0 to {last}"]
    if not same_images:
        lines = [
            f"{run.id}: compared before training only, since its images are in another order or "
            f"are others: their checksum is {again.attrs['dataset_checksum'][:12]}, published "
            f"{run.data.attrs['dataset_checksum'][:12]} (earlier versions kept the order of files)"
        ]
    curves = [each for each in found if each.variable in _CURVES]
    if curves:
        lines.append(f"loss and accuracy of all images: {_agreement(curves)}")
    others = [each for each in found if each.variable not in _CURVES]
    if others:
        names = len({each.variable for each in others})
        lines.append(f"{names} measured quantities: {_agreement(others)}")
    places = [name for name in _PLACE if run.data.attrs[name] != again.attrs[name]]
    if any(each.size for each in found):
        where = f"; here other {', '.join(places)}" if places else ""
        lines.append(
            "distances are shares of the published value, or of a tenth of its largest one where "
            "that is more; other processors and versions round otherwise, and training carries "
            f"roundings apart{where}"
        )
    differing = []
    if wrong:
        first = min(wrong, key=lambda each: each.iteration)
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        differing.append(f"results.nc: {run.id}: {first}{more}")
    short = Found.same if same_images else f"{Found.same}, before training"
    return Found(tuple(lines), tuple(differing), short)


def _agreement(found: list[_Distance]) -> str:
    """How far they are from what is published, at iteration 0 and later."""
    if not any(each.size for each in found):
        return "the same bits"
    said = []
    for begin, end, words in (
        (0, 0, "at iteration 0"),
        (1, _EARLY, f"to iteration {_EARLY}"),
        (_EARLY + 1, np.inf, "later"),
    ):
        worst = [each for each in found if begin <= each.iteration <= end]
        if worst:
            each = max(worst, key=lambda each: each.size / each.allowed)
            said.append(f"{words} within {each.size:.1e} (allowed {each.allowed:g})")
    return ", ".join(said)


def _distances(published: xr.Dataset, again: xr.Dataset, same_images: bool) -> Iterator[_Distance]:
    names = [
        str(name)
        for name, variable in again.data_vars.items()
        if name in published.data_vars
        and name not in _NOT_COMPARED
        and variable.dtype.kind in "if"
        and set(variable.dims) in ({"checkpoint"}, {"checkpoint", "sample_set"})
        and set(published[name].dims) == set(variable.dims)
    ]
    if not same_images:
        names = [name for name in names if name in _OF_ALL_IMAGES]
    wrong = [each["misclassified_total"].to_numpy() for each in (published, again)]
    for name in names:
        for sample_set in _sample_sets(published[name]):
            one, other = (_of(each[name], sample_set) for each in (published, again))
            least = _SMALL * largest(one)
            for position, iteration in enumerate(again["iteration"].to_numpy().tolist()):
                # Where other images are wrong, it is another set.
                if sample_set == "misclassified" and wrong[0][position] != wrong[1][position]:
                    continue
                there, here = (each[position : position + 1] for each in (one, other))
                size = distance(there, here, max(largest(there), least))
                yield _Distance(iteration, name, sample_set, size)


def _sample_sets(variable: xr.DataArray) -> list[str]:
    return variable["sample_set"].to_numpy().tolist() if "sample_set" in variable.dims else [""]


def _of(variable: xr.DataArray, sample_set: str) -> np.ndarray:
    chosen = variable.sel(sample_set=sample_set) if sample_set else variable
    return chosen.to_numpy().astype(float)
