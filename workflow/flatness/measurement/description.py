"""The Dataset that `measure` returns."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from flatness.measurement.chunk_terms import ChunkTerms, LayerTerms
from flatness.measurement.convolution_norm import MATRIX
from flatness.measurement.fetching import fetched
from flatness.measurement.matrix_norm import matrix_norm
from flatness.measurement.operations import Convolution
from flatness.measurement.operator_norm import operator_norm
from flatness.measurement.traced import Layer, TracedChunk
from flatness.measurement.wanted import Wanted

NO_INPUT_LAYER = (
    "no linear layer or convolution reads the inputs as they are and is their only way to the "
    "output"
)
NO_INPUT_WEIGHT = (
    "no linear layer reads the flattened inputs as they are and is their only way to the output, "
    "so Eq. 4 does not apply"
)
NO_OUTPUT_LAYER = "the network's output is not that of a linear layer"


@dataclass(frozen=True)
class LayerFacts:
    """What stays to be known of a layer when the graph is gone.

    Args:
        positions: how often it applies its weight to one sample.
        names: see `Layer`.
        weight: as it is applied.
        convolution: how, or None for a linear layer.
        padding: see `NamedMap`.
        extents: of its input along the spatial axes.
    """

    positions: int
    names: Mapping[str, str]
    weight: Tensor
    convolution: Convolution | None
    padding: tuple[str, tuple[int, ...]] | None
    extents: tuple[int, ...]

    @classmethod
    def of(cls, layer: Layer) -> Self:
        """Without anything that holds the graph."""
        return cls(
            layer.positions,
            layer.names,
            layer.map.weight,
            layer.map.convolution,
            layer.named.padding,
            tuple(layer.named.input.shape[2:]),
        )


@dataclass(frozen=True)
class Chunk:
    """What one chunk gives, and what is known of it when its graph is gone.

    Args:
        terms: the numbers.
        layers: the layers that have terms, by name.
        left_out: what else applies a weight on the way to the output.
        input_layer, output_layer: names, see `TracedChunk`.
    """

    terms: ChunkTerms
    layers: Mapping[str, LayerFacts]
    left_out: tuple[str, ...]
    input_layer: str | None
    output_layer: str | None

    @classmethod
    def of(cls, traced: TracedChunk, found: ChunkTerms) -> Self:
        """After its backward passes."""
        first, last = traced.input_layer, traced.output_layer
        return cls(
            found,
            {layer.name: LayerFacts.of(layer) for layer in traced.layers},
            tuple(traced.left_out),
            first.name if first else None,
            last.name if last else None,
        )


def describe(inputs: Tensor, chunks: Sequence[Chunk], wanted: Wanted) -> xr.Dataset:
    """Put the chunks together.

    Args:
        inputs: (samples, ...), of all chunks.
        chunks: in the order of the samples.
        wanted: what was computed.
    """
    variables = _per_sample(inputs, [chunk.terms for chunk in chunks], wanted)
    if wanted.layers:
        variables |= _Layers(chunks).variables(wanted)
    return xr.Dataset(variables, attrs={"dtype": str(inputs.dtype).removeprefix("torch.")})


def _per_sample(inputs: Tensor, of_chunks: Sequence[ChunkTerms], wanted: Wanted) -> dict[str, Any]:
    """Variables of every sample, and the names of the parameters."""
    samples = len(inputs)
    input_norms = torch.linalg.vector_norm(inputs.detach().double().flatten(1), dim=1)
    found: dict[str, Any] = {}
    if wanted.jacobian:
        found["singular_value"] = (
            ("sample", "mode"),
            torch.cat([s.singular_values for s in of_chunks]).numpy(),
        )
        found["input_times_gradient_sq_norm"] = (
            "sample",
            torch.cat([s.input_times_gradient for s in of_chunks]).numpy(),
        )
    if wanted.parameters:
        names = list(of_chunks[0].sq_norms)
        terms = {"parameter_gradient_sq_norm": [s.sq_norms for s in of_chunks]}
        if wanted.adaptive:
            terms["parameter_adaptive_sq_norm"] = [s.adaptive for s in of_chunks]
        for term, parts in terms.items():
            values = [torch.cat([part[name] for part in parts]) for name in names]
            stacked = (
                torch.stack(values, 1)
                if names
                else torch.zeros(samples, 0, dtype=torch.float64, device="cpu")
            )
            found[term] = (("sample", "parameter"), stacked.numpy())
        found["parameter"] = np.array(names, dtype=object)
    found["input_norm"] = ("sample", input_norms.cpu().numpy())
    outputs = torch.cat([s.output for s in of_chunks]).cpu().numpy()
    found["network_output"] = (("sample", "output"), outputs)
    return found


class _Layers:
    """The terms of the layers that every chunk has, and what is known of the first and last."""

    def __init__(self, chunks: Sequence[Chunk]):
        self._chunks = chunks
        facts = [chunk.layers for chunk in chunks]
        names = [name for name in facts[0] if all(name in each for each in facts)]
        self._layers = {name: facts[0][name] for name in names}
        self._eq4_holds = {
            name: layer.convolution is None
            and "weight" in layer.names
            and all(each[name].positions == 1 for each in facts)
            for name, layer in self._layers.items()
        }

    def variables(self, wanted: Wanted) -> dict[str, Any]:
        """Variables by layer."""
        weights = [layer.weight for layer in self._layers.values()]
        norms = [torch.linalg.vector_norm(weight, dtype=torch.float64) for weight in weights]
        frobenius = [float(norm) for norm in fetched(norms)]
        last = self._common("output_layer")
        found = {
            "layer": np.array(list(self._layers), dtype=object),
            "layer_input_norm": self._stacked(lambda terms: terms.input_norm),
            "layer_output_gradient_sq_norm": self._stacked(
                lambda terms: terms.output_gradient_sq_norm
            ),
            "layer_eq4_holds": (
                "layer",
                np.array(list(self._eq4_holds.values()), dtype=np.int8),
            ),
            "layer_weight_frobenius_norm": (
                "layer",
                np.array(frobenius),
                {"output_layer": last} if last is not None else {"absent": NO_OUTPUT_LAYER},
            ),
            "layer_outputs": ("layer", np.array([len(w) for w in weights], dtype=np.int64)),
        }
        if wanted.spectra:
            found["layer_sensitivity"] = self._stacked(lambda terms: terms.sensitivity)
            found["layer_log_volume"] = self._stacked(lambda terms: terms.log_volume)
        return found | self._norms(frobenius, wanted)

    def _norms(self, frobenius: Sequence[float], wanted: Wanted) -> dict[str, Any]:
        first = self._common("input_layer")
        others = sorted(
            {
                name
                for chunk in self._chunks
                for name in [*chunk.left_out, *chunk.terms.layers]
                if name not in self._layers
            }
        )
        about_layers = {"left_out": json.dumps(others)}
        about = {"input_layer": first} if first is not None else {"absent": NO_INPUT_LAYER}
        if not wanted.operator_norms:
            nothing = np.full(len(self._layers), np.nan)
            return {"layer_operator_norm": ("layer", nothing, about | about_layers)}
        norms = [
            operator_norm(layer.weight, layer.convolution, layer.extents, layer.padding)
            for layer in self._layers.values()
        ]
        methods = {name: norm.method for name, norm in zip(self._layers, norms, strict=True)}
        about_layers["method"] = json.dumps(methods)
        of_weight, about_weight = (np.nan, np.nan), {"absent": NO_INPUT_WEIGHT}
        if first is not None and self._eq4_holds.get(first):
            k = list(self._layers).index(first)
            exact = norms[k].method == MATRIX
            spectral = norms[k].value if exact else matrix_norm(self._layers[first].weight)
            of_weight = spectral, frobenius[k]
            about_weight = {"input_weight": self._layers[first].names["weight"]}
        values = np.array([norm.value for norm in norms], dtype=np.float64)
        return {
            "input_weight_spectral_norm": ((), of_weight[0], about_weight),
            "input_weight_frobenius_norm": ((), of_weight[1], about_weight),
            "layer_operator_norm": ("layer", values, about | about_layers),
        }

    def _stacked(self, term: Callable[[LayerTerms], Tensor]) -> tuple[tuple[str, str], np.ndarray]:
        parts = [chunk.terms.layers for chunk in self._chunks]
        columns = [torch.cat([term(part[name]) for part in parts]) for name in self._layers]
        samples = sum(len(chunk.terms.output) for chunk in self._chunks)
        values = (
            torch.stack(columns, 1)
            if columns
            else torch.zeros(samples, 0, dtype=torch.float64, device="cpu")
        )
        return ("sample", "layer"), values.numpy()

    def _common(self, fact: str) -> str | None:
        """The one value of all chunks, or None."""
        values = {getattr(chunk, fact) for chunk in self._chunks}
        return values.pop() if len(values) == 1 else None
