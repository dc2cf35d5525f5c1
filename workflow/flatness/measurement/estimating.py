"""Estimating what is a sum over outputs, where one backward pass for each takes too long."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from flatness.measurement.chunk_terms import ChunkTerms, LayerTerms
from flatness.measurement.description import Chunk, describe
from flatness.measurement.frozen import FrozenNetwork
from flatness.measurement.largest_singular_value import (
    ITERATIONS,
    TOLERANCE,
    LargestSingularValues,
    largest_singular_values,
)
from flatness.measurement.memory import estimate_bytes_per_sample
from flatness.measurement.probes import Probes
from flatness.measurement.probing import Probed, probe
from flatness.measurement.proof import Proof
from flatness.measurement.traced import TracedChunk
from flatness.measurement.wanted import Wanted
from flatness.progress.share import part

# What is a mean over probes, and has a standard error beside it.
_MEANS = (
    "parameter_gradient_sq_norm",
    "parameter_adaptive_sq_norm",
    "layer_output_gradient_sq_norm",
    "input_gradient_sq_norm",
    "input_times_gradient_sq_norm",
)
# The variables of what `Probed.inputs` holds.
_OF_INPUTS = {"plain": "input_gradient_sq_norm", "times": "input_times_gradient_sq_norm"}


@dataclass(frozen=True)
class _Estimated:
    """One chunk of n samples.

    Args:
        chunk: as of an exact measurement, with means over probes.
        means: over probes, each (n,) in the place of (k, n).
        errors: the standard errors of these.
        of_totals: standard errors of the sums over all parameters, (n,), by the name of the
            variable. They cannot be had from those of single parameters, which share the probes.
        largest: None if it is not wanted.
    """

    chunk: Chunk
    means: Probed
    errors: Probed
    of_totals: Mapping[str, Tensor]
    largest: LargestSingularValues | None


def estimate(
    network: FrozenNetwork,
    inputs: Tensor,
    probes: Probes,
    chunk_size: int,
    wanted: Wanted,
    budget: int,
) -> xr.Dataset:
    """The Dataset of `measure` with probes, without the glossary's attributes.

    Args:
        network: the network.
        inputs: (samples, ...).
        probes: how many, and which.
        chunk_size: samples differentiated together, at most.
        wanted: what is to be found, from `Wanted.estimated`.
        budget: bytes that closed forms and iterations may keep of a chunk.
    """
    found: list[_Estimated] = []
    proofs: dict[tuple, Proof] = {}
    start = 0
    while start < len(inputs):
        rows = slice(start, start + chunk_size)
        traced = TracedChunk(network.of(rows), inputs[rows], proofs)
        n = len(traced.inputs)
        fitting = max(1, budget // max(estimate_bytes_per_sample(traced, wanted), 1))
        if fitting < n:
            chunk_size = ceil(n / ceil(n / fitting))
            continue
        share = n / len(inputs) / (2 if wanted.largest else 1)
        with part(share):
            one = _estimated(traced, start, probes, wanted)
        del traced  # what it keeps of the graph is not needed while iterating
        if wanted.largest:
            starts = probes.starts(start, n, one.chunk.terms.output.shape[1])
            here = slice(start, start + n)
            with part(share):
                largest = largest_singular_values(
                    network.of(here), inputs[here], starts.to(inputs.device)
                )
            one = replace(one, largest=largest)
        found.append(one)
        start += n
    # What an exact measurement has beside these comes from singular values.
    common = replace(wanted, jacobian=False, spectra=False)
    dataset = describe(inputs, [one.chunk for one in found], common)
    dataset = dataset.assign(_beside(dataset, found, wanted))
    how = f"mean over {probes.count} random combinations of the outputs, seed {probes.seed}"
    for name in _MEANS:
        if name in dataset:
            dataset[name].attrs["estimate"] = how
    return dataset.assign_attrs(probes=int(probes.count), seed=int(probes.seed))


def _estimated(traced: TracedChunk, first: int, probes: Probes, wanted: Wanted) -> _Estimated:
    """A chunk without its largest singular values."""
    n, N = traced.output.shape
    probed = probe(traced, probes.signs(first, n, N), wanted)
    means = probed.reduced(lambda values: values.mean(0))
    layers = {
        layer.name: LayerTerms(layer.input_norms(n).cpu(), means.layers[layer.name], None, None)
        for layer in (traced.layers if wanted.layers else [])
    }
    terms = ChunkTerms(traced.output.detach(), None, None, means.parameters, means.adaptive, layers)
    of_totals = {}
    if wanted.parameters:
        of_totals["total_gradient_sq_norm_standard_error"] = _of_total(probed.parameters, n)
    if wanted.adaptive:
        of_totals["total_adaptive_sq_norm_standard_error"] = _of_total(probed.adaptive, n)
    errors = probed.reduced(_standard_error)
    return _Estimated(Chunk.of(traced, terms), means, errors, of_totals, None)


def _of_total(by_name: Mapping[str, Tensor], samples: int) -> Tensor:
    """(n,): the standard error of the sum of (k, n) over names."""
    if not by_name:
        return torch.zeros(samples, dtype=torch.float64, device="cpu")
    return _standard_error(torch.stack(list(by_name.values())).sum(0))


def _standard_error(values: Tensor) -> Tensor:
    """(n,): of the mean over k of (k, n)."""
    # Relative to the largest, so that squares neither vanish nor overflow.
    scale = values.amax(0)
    scale = torch.where(scale > 0, scale, 1)
    return (values / scale).std(0, correction=1) * scale / len(values) ** 0.5


def _beside(dataset: xr.Dataset, found: Sequence[_Estimated], wanted: Wanted) -> dict[str, Any]:
    """The variables that only estimates have."""
    variables: dict[str, Any] = {}

    def put(name: str, parts: Iterable[Tensor]) -> None:
        variables[name] = ("sample", torch.cat(list(parts)).numpy())

    def put_all(name: str, dimension: str, parts: Sequence[Mapping[str, Tensor]]) -> None:
        names = dataset[dimension].values
        columns = [torch.cat([part[each] for part in parts]).numpy() for each in names]
        values = np.stack(columns, 1) if columns else np.zeros((dataset.sizes["sample"], 0))
        variables[f"{name}_standard_error"] = (("sample", dimension), values)

    if wanted.parameters:
        put_all("parameter_gradient_sq_norm", "parameter", [x.errors.parameters for x in found])
    if wanted.adaptive:
        put_all("parameter_adaptive_sq_norm", "parameter", [x.errors.adaptive for x in found])
    for name in found[0].of_totals:
        put(name, (one.of_totals[name] for one in found))
    if wanted.layers:
        put_all("layer_output_gradient_sq_norm", "layer", [x.errors.layers for x in found])
    if wanted.jacobian:
        for kind, name in _OF_INPUTS.items():
            put(name, (one.means.inputs[kind] for one in found))
            put(f"{name}_standard_error", (one.errors.inputs[kind] for one in found))
    if wanted.largest:
        put("input_jacobian_norm", (one.largest.values for one in found))
        put("input_jacobian_norm_residual", (one.largest.residuals for one in found))
        for name in ("input_jacobian_norm", "input_jacobian_norm_residual"):
            variables[name] += (_about_largest([one.largest for one in found]),)
    return variables


def _about_largest(found: Sequence[LargestSingularValues]) -> dict[str, str]:
    reasons = [one.absent for one in found if one.absent]
    if reasons:
        return {"absent": reasons[0]}
    return {
        "estimate": (
            f"lower bound by at most {ITERATIONS} Lanczos iterations, until the residual is "
            f"{TOLERANCE:g} of it"
        )
    }
