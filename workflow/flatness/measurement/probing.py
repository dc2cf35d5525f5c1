"""What each probe of a chunk gives: k backward passes in the place of N."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.autograd.graph import Node

from flatness.measurement.backward import Backward
from flatness.measurement.persample import per_sample_sq_norms_of
from flatness.measurement.squares import SAFE_IN_FLOAT32
from flatness.measurement.sums import Sums, refuse_infinite
from flatness.measurement.traced import TracedChunk
from flatness.measurement.underflow import lacking
from flatness.measurement.wanted import Wanted
from flatness.progress.share import done, part


@dataclass(frozen=True)
class Probed:
    """Squared norms of d(v.f) for k probes v of n samples, each (k, n) float64 on the CPU.

    Args:
        parameters: with respect to parameters, by name.
        adaptive: the same times the parameters; empty if they are not wanted.
        layers: with respect to layers' outputs, by name of the layer.
        inputs: with respect to the inputs, and these times the inputs, as "plain" and "times";
            empty if they are not wanted.
    """

    parameters: Mapping[str, Tensor]
    adaptive: Mapping[str, Tensor]
    layers: Mapping[str, Tensor]
    inputs: Mapping[str, Tensor]

    def reduced(self, function: Callable[[Tensor], Tensor]) -> Self:
        """The same of what a function makes of each (k, n)."""
        parts = (self.parameters, self.adaptive, self.layers, self.inputs)
        return type(self)(*({name: function(v) for name, v in part.items()} for part in parts))


def probe(traced: TracedChunk, signs: Tensor, wanted: Wanted) -> Probed:
    """Differentiate combinations of the outputs of a traced chunk.

    Squares are formed in the network's dtype. Samples whose squares may leave the range of
    float32 for any probe are taken once more, with squares in float64.

    Args:
        traced: the chunk. Its graph is used up.
        signs: (n, k, N), the combinations, on the CPU.
        wanted: what is to be found.

    Raises:
        MeasurementError: the parameter Jacobian is not finite.

    Cost: k backward passes of the chunk; where parameters have no closed form, one forward and
    k backward passes of each sample.
    """
    if not (wanted.parameters or wanted.jacobian or wanted.layers):
        return Probed({}, {}, {}, {})
    network, inputs = traced.network, traced.inputs.detach()
    rest = traced.rest if wanted.parameters else []
    # Parameters that do not reach the output have no derivative.
    names = traced.parameters if wanted.parameters else []
    with part(1 / 2 if rest else 1):
        found = _pass_by_pass(traced, signs, wanted, traced.output.dtype)
    if traced.output.dtype == torch.float32:
        again = lacking(
            network,
            inputs,
            _worst(found.parameters),
            _worst(found.layers),
            _worst_of_inputs(found.inputs),
        )
        if len(again):
            rows = again.to(inputs.device)
            chunk = TracedChunk(network.of(rows), inputs[rows], {})
            with part(0):  # few samples, counted above
                _overwrite(found, again, _pass_by_pass(chunk, signs[again], wanted, torch.float64))
    plain, adaptive = {}, {}
    if rest:
        with part(1 / 2):
            plain, adaptive = per_sample_sq_norms_of(
                network, inputs, rest, signs.to(inputs), wanted.adaptive
            )
    zero = torch.zeros(signs.shape[1], len(inputs), dtype=torch.float64, device="cpu")

    def of_all(closed: Mapping[str, Tensor], single: Mapping[str, Tensor]) -> dict[str, Tensor]:
        known = {**closed, **{name: values.cpu() for name, values in single.items()}}
        return {name: known.get(name, zero) for name in names}

    found = Probed(
        of_all(found.parameters, plain),
        of_all(found.adaptive, adaptive) if wanted.adaptive else {},
        found.layers,
        found.inputs,
    )
    refuse_infinite(_all_values(found))
    return found


def _pass_by_pass(traced: TracedChunk, signs: Tensor, wanted: Wanted, dtype: torch.dtype) -> Probed:
    sums = Sums(traced, wanted, 1, dtype)
    inputs = traced.inputs
    reached = [inputs] if traced.structure.graph.inputs is not None else []

    def receive(node: Node, cotangent: Tensor, _into: object) -> None:
        sums.receive(node, cotangent)

    passes = []
    backward = Backward(traced.structure, sums.sites)
    with backward.handing_over(receive):
        for k, combination in enumerate(signs.unbind(1)):
            if k:
                sums.restart()
            again = k + 1 < signs.shape[1]
            cotangent = combination.to(traced.output)
            found = backward.once(traced.output, cotangent, reached, again=again)
            if found and found[0] is not None and wanted.jacobian:
                sums.receive_inputs(found[0], plain=True)
            sums.end_pass()
            sums.finish()
            one = sums.results({})
            of_inputs = {"plain": one.inputs, "times": one.times_inputs}
            passes.append(
                (one.parameters, one.adaptive, one.layers, of_inputs if wanted.jacobian else {})
            )
            done(1 / signs.shape[1])
    return Probed(*map(_stacked, zip(*passes, strict=True)))


def _stacked(passes: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """(k, n) by name, of (n,) by name for each of k passes."""
    every = list(passes)
    return {name: torch.stack([one[name] for one in every]) for name in every[0]}


def _worst(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """(n,) by name: the probe that is farthest from what float32 holds safely."""
    least = SAFE_IN_FLOAT32[0]
    lowest = {name: values.amin(0) for name, values in found.items()}
    return {
        name: torch.where(lowest[name] < least, lowest[name], values.amax(0))
        for name, values in found.items()
    }


def _worst_of_inputs(found: Mapping[str, Tensor]) -> Tensor | None:
    """(n,): of both sums of the inputs, or None where they are not wanted."""
    if not found:
        return None
    plain, times = (_worst(found)[name] for name in ("plain", "times"))
    least, most = SAFE_IN_FLOAT32
    return torch.where((plain >= least) & (plain <= most), times, plain)


def _overwrite(found: Probed, rows: Tensor, other: Probed) -> None:
    """Put the values of `other` into some samples of `found`."""
    for ours, theirs in (
        (found.parameters, other.parameters),
        (found.adaptive, other.adaptive),
        (found.layers, other.layers),
        (found.inputs, other.inputs),
    ):
        for name, values in ours.items():
            if name in theirs:
                values[:, rows] = theirs[name]


def _all_values(found: Probed) -> Iterable[Tensor]:
    for each in (found.parameters, found.adaptive, found.layers, found.inputs):
        yield from each.values()
