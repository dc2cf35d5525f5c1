"""N backward passes of a traced chunk give every primitive."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node

from flatness.measurement.backward import Backward
from flatness.measurement.decompositions import SingularValues, singular_values
from flatness.measurement.fetching import fetched
from flatness.measurement.jacobians import Columns, Piece, rounds
from flatness.measurement.persample import per_sample_sq_norms
from flatness.measurement.sums import Sums, refuse_infinite
from flatness.measurement.traced import Layer, TracedChunk
from flatness.measurement.underflow import lacking
from flatness.measurement.wanted import Wanted
from flatness.progress.share import done, part


@dataclass(frozen=True)
class LayerTerms:
    """What one layer adds to the network-wide measures, each (n,) float64, or None.

    Args:
        input_norm: ||x^l||_2 of the layer's input.
        output_gradient_sq_norm: ||df/dz^l||_F^2 of the layer's output.
        sensitivity: ||df/dx^l||_2 through this layer alone, the spectral norm.
        log_volume: sum of the logarithms of all N singular values of df/dx^l.
    """

    input_norm: Tensor
    output_gradient_sq_norm: Tensor
    sensitivity: Tensor | None
    log_volume: Tensor | None


@dataclass(frozen=True)
class ChunkTerms:
    """What one chunk of n samples gives; what is not wanted is None or empty.

    Args:
        output: (n, N).
        singular_values: (n, N) float64 on the CPU, of the input Jacobian, decreasing.
        input_times_gradient: (n,) float64, ||J diag(x)||_F^2.
        sq_norms: (n,) float64 by name of the parameter, summed over outputs.
        adaptive: the same of gradients times parameters.
        layers: the terms of each linear layer and convolution, by its name.
    """

    output: Tensor
    singular_values: Tensor | None
    input_times_gradient: Tensor | None
    sq_norms: dict[str, Tensor]
    adaptive: dict[str, Tensor]
    layers: dict[str, LayerTerms]


def chunk_terms(traced: TracedChunk, wanted: Wanted, budget: int) -> ChunkTerms:
    """Differentiate every output of a traced chunk with respect to inputs and parameters.

    Squares are formed in the network's dtype. Samples whose squares may leave the range of
    float32 are taken once more, with squares in float64.

    Args:
        traced: the chunk. Its graph is used up.
        wanted: what is to be found.
        budget: bytes that Jacobians may take.

    Raises:
        MeasurementError: the input Jacobian or the parameter Jacobian is not finite.
    """
    network, inputs = traced.network, traced.inputs.detach()
    rest = traced.rest if wanted.parameters else []
    parameters = traced.parameters if wanted.parameters else []
    # Where parameters have no closed form, the passes are repeated sample by sample.
    with part(1 / 2 if rest else 1):
        found = _Passes(traced, wanted, budget, traced.output.dtype).result()
    if traced.output.dtype == torch.float32:
        of_layers = {name: terms.output_gradient_sq_norm for name, terms in found.layers.items()}
        again = lacking(network, inputs, found.sq_norms, of_layers, found.input_times_gradient)
        if len(again):
            rows = again.to(inputs.device)
            chunk = TracedChunk(network.of(rows), inputs[rows], {})
            sums = replace(wanted, spectra=False)
            with part(0):  # few samples, counted above
                _overwrite(found, again, _Passes(chunk, sums, budget, torch.float64).result())
    if rest:
        with part(1 / 2):
            plain, adaptive = per_sample_sq_norms(network, inputs, rest, wanted.adaptive)
        there = fetched([*plain.values(), *adaptive.values()])
        found.sq_norms.update(zip(plain, there, strict=False))
        found.adaptive.update(zip(adaptive, there[len(plain) :], strict=True))
    zero = torch.zeros(len(inputs), dtype=torch.float64, device="cpu")
    found = replace(
        found,
        sq_norms={name: found.sq_norms.get(name, zero) for name in parameters},
        adaptive={name: found.adaptive.get(name, zero) for name in parameters if wanted.adaptive},
    )
    sums = [terms.output_gradient_sq_norm for terms in found.layers.values()]
    refuse_infinite([*found.sq_norms.values(), *found.adaptive.values(), *sums])
    return found


class _Passes:
    """The N backward passes of a chunk, in one round or several, with squares in one dtype."""

    def __init__(self, traced: TracedChunk, wanted: Wanted, budget: int, dtype: torch.dtype):
        self._traced, self._wanted, self._dtype = traced, wanted, dtype
        self._n, self._outputs = traced.output.shape
        self._sums = Sums(traced, wanted, self._outputs, dtype)
        self._layers = self._sums.layers
        self._spectra: dict[str | None, SingularValues] = {}
        self._budget = budget

    def result(self) -> ChunkTerms:
        """Run everything."""
        traced = self._traced
        widths = self._widths()
        self._spectra = {name: SingularValues(width) for name, width in widths}
        todo = rounds(widths, self._n * self._outputs * self._dtype.itemsize, self._budget)
        for k, pieces in enumerate(todo):
            with part(1 / len(todo)):
                self._round(pieces, first=k == 0, last=k + 1 == len(todo))
        self._sums.finish()
        values = singular_values(self._spectra)
        found = self._sums.results(
            {layer.name: layer.input_norms(self._n) for layer in self._layers}
        )
        return ChunkTerms(
            traced.output.detach(),
            values[None] if self._wanted.jacobian else None,
            found.times_inputs if self._wanted.jacobian else None,
            found.parameters,
            found.adaptive,
            {
                layer.name: LayerTerms(
                    found.beside[layer.name],
                    found.layers[layer.name],
                    *self._of_spectrum(layer, values),
                )
                for layer in self._layers
            },
        )

    def _widths(self) -> list[tuple[str | None, int]]:
        """Which Jacobians are decomposed, and their columns."""
        traced = self._traced
        found: list[tuple[str | None, int]] = []
        if self._wanted.jacobian or (self._wanted.spectra and traced.input_layer):
            found.append((None, traced.inputs[0].numel()))
        if self._wanted.spectra:
            found += [
                (layer.name, layer.named.input.numel() // self._n)
                for layer in self._layers
                if layer is not traced.input_layer
            ]
        return found

    def _round(self, pieces: Sequence[Piece], *, first: bool, last: bool) -> None:
        """N backward passes, which give some columns of Jacobians and, the first, all sums."""
        traced = self._traced
        named = {piece.name: piece for piece in pieces}
        columns: dict[str | None, Columns] = {}
        self._columns = columns
        by_node, by_outlet = {}, {}
        for layer in self._layers:
            if layer.name in named:
                if layer.named.outlet is None:
                    by_node[layer.node] = layer
                else:
                    by_outlet[layer.named.outlet] = layer
        sites = list(by_node)
        if first:
            sites += self._sums.sites
        sites = list(dict.fromkeys(sites))

        def receive(node: Node, cotangent: Tensor, into: Sequence[Tensor | None]) -> None:
            if node in by_outlet:
                self._put(named, by_outlet[node], cotangent)
                return
            if first:
                self._sums.receive(node, cotangent)
            layer = by_node.get(node)
            if layer is not None and into[layer.map.input_slot] is not None:
                self._put(named, layer, into[layer.map.input_slot])

        inputs = traced.inputs
        wanted: list[Tensor | GradientEdge] = []
        if traced.structure.graph.inputs is not None:
            wanted = [inputs] if first or None in named else self._edges(by_node, by_outlet)
        backward = Backward(traced.structure, sites, list(by_outlet))
        with backward.handing_over(receive):
            units = torch.eye(self._outputs, dtype=traced.output.dtype, device=inputs.device)
            for j, unit in enumerate(units):
                self._output = j
                again = not (last and j + 1 == self._outputs)
                cotangent = unit.expand(self._n, self._outputs)
                found = backward.once(traced.output, cotangent, wanted, again=again)
                if found and wanted[0] is inputs and found[0] is not None:
                    self._put_inputs(named.get(None), found[0], first)
                if first:
                    self._sums.end_pass()
                del found
                done(1 / self._outputs)
        for name, piece in named.items():
            filled = columns.get(name)
            if filled is None:
                shape = (self._n, self._outputs, piece.stop - piece.start)
                self._spectra[name].add(inputs.new_zeros(shape, dtype=self._dtype))
            else:
                self._spectra[name].add(filled.jacobian())

    @staticmethod
    def _edges(by_node: dict, by_outlet: dict) -> list[GradientEdge]:
        """What must be reached for the derivatives at some layers' inputs."""
        inner = [
            GradientEdge(*node.next_functions[layer.map.input_slot])
            for node, layer in by_node.items()
        ]
        return inner + [GradientEdge(*outlet.next_functions[0]) for outlet in by_outlet]

    def _put(self, named: dict, layer: Layer, gradient: Tensor) -> None:
        where = layer.where
        self._put_columns(named[layer.name], where.samples_first(gradient, self._n))

    def _put_inputs(self, piece: Piece | None, gradient: Tensor, first: bool) -> None:
        if first and self._wanted.jacobian:
            self._sums.receive_inputs(gradient)
        if piece is not None:
            self._put_columns(piece, gradient)

    def _put_columns(self, piece: Piece, gradient: Tensor) -> None:
        columns = self._columns.get(piece.name)
        if columns is None:
            columns = Columns(piece, gradient, self._outputs, self._dtype)
            self._columns[piece.name] = columns
        columns.put(self._output, gradient)

    def _of_spectrum(
        self, layer: Layer, values: dict[str | None, Tensor]
    ) -> tuple[Tensor | None, Tensor | None]:
        """(n,) each: the largest singular value at a layer's input, and the log of the product."""
        found = values.get(None if layer is self._traced.input_layer else layer.name)
        return (None, None) if found is None else (found[:, 0], found.log().sum(1))


def _overwrite(found: ChunkTerms, rows: Tensor, other: ChunkTerms) -> None:
    """Put the sums of `other` into some rows of `found`."""
    for ours, theirs in (
        (found.sq_norms, other.sq_norms),
        (found.adaptive, other.adaptive),
        (
            {name: terms.output_gradient_sq_norm for name, terms in found.layers.items()},
            {name: terms.output_gradient_sq_norm for name, terms in other.layers.items()},
        ),
    ):
        for name, values in ours.items():
            if name in theirs:
                values[rows] = theirs[name]
    if found.input_times_gradient is not None:
        found.input_times_gradient[rows] = other.input_times_gradient
