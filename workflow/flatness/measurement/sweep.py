"""The sweep: one forward and N backward passes of a chunk give every primitive."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flatness.errors import MeasurementError
from flatness.measurement.backward import differentiate
from flatness.measurement.decompositions import singular_values, spectral_norms
from flatness.measurement.persample import per_sample_sq_norms
from flatness.measurement.tracing import (
    FrozenNetwork,
    Layer,
    Trace,
    agree,
    input_layer,
    layers_of,
    left_out,
    twin_of,
)

# Sums of squares outside of this range may lack terms that float32 cannot hold.
_SAFE_IN_FLOAT32 = (1e-30, 1e30)


@dataclass(frozen=True)
class LayerTerms:
    """What one layer adds to the network-wide measures, each (n,) float64.

    Args:
        layer: the layer.
        positions: how often it applies its weight to one sample.
        input_norm: ||x^l||_2 of the layer's input.
        sensitivity: ||df/dx^l||_2 through this layer alone, the spectral norm.
        output_gradient_sq_norm: ||df/dz^l||_F^2 of the layer's output.
    """

    layer: Layer
    positions: int
    input_norm: Tensor
    sensitivity: Tensor
    output_gradient_sq_norm: Tensor


@dataclass(frozen=True)
class Sweep:
    """What one chunk of n samples gives.

    Args:
        output: (n, N).
        singular_values: (n, N) float64 on the CPU, of the input Jacobian, decreasing.
        sq_norms: (n,) float64 by name of the parameter, summed over outputs.
        layers: the terms of each linear layer and convolution, by its name.
        left_out: linear maps on the way to the output that have no terms.
        input_layer: name of the layer that reads the inputs, or None.
    """

    output: Tensor
    singular_values: Tensor
    sq_norms: dict[str, Tensor]
    layers: dict[str, LayerTerms]
    left_out: list[str]
    input_layer: str | None


def sweep(network: FrozenNetwork, trace: Trace, twin: Trace) -> Sweep:
    """Differentiate every output of a traced chunk with respect to inputs and parameters.

    Squares are formed in the network's dtype. Samples whose squares may leave the range of
    float32 are taken once more, with squares in float64.

    Args:
        network: what was traced.
        trace: of n samples; its output is (n, N). Its graph is used up.
        twin: of its samples at `twin_positions`.

    Raises:
        MeasurementError: the input Jacobian or the parameter Jacobian is not finite.
    """
    found = _sweep(network, trace, twin, trace.output.dtype)
    if trace.output.dtype == torch.float32:
        again = _outside(found, *_SAFE_IN_FLOAT32).nonzero()[:, 0]
        if len(again):
            part = network.trace(trace.inputs.detach()[again.to(trace.inputs.device)])
            wide = _sweep(network, part, twin_of(network, part), torch.float64)
            _overwrite(found, again, wide)
    closed = {name for terms in found.layers.values() for name in terms.layer.names.values()}
    parameters = network.parameters(trace)
    rest = [name for name in parameters if name not in closed]
    sq_norms = found.sq_norms
    if rest:
        sq_norms = sq_norms | per_sample_sq_norms(network, trace.inputs.detach(), rest)
    sums = [terms.output_gradient_sq_norm for terms in found.layers.values()]
    if not all(what.isfinite().all() for what in (*sq_norms.values(), *sums)):
        raise MeasurementError(
            "model: its parameter Jacobian holds values that are not finite. Allowed: a network "
            "that is differentiable at the samples. Look for overflow, or for roots and quotients "
            "at 0."
        )
    return replace(found, sq_norms={name: sq_norms[name] for name in parameters})


def _sweep(network: FrozenNetwork, trace: Trace, twin: Trace, dtype: torch.dtype) -> Sweep:
    """What the closed forms give, with squares formed in `dtype`."""
    layers = layers_of(network, trace, twin)
    first = input_layer(trace, layers)
    derivatives = differentiate(trace, layers, first, dtype)
    values = singular_values(derivatives.jacobian)
    sq_norms: dict[str, Tensor] = {}
    terms = {}
    for layer, J, form in zip(layers, derivatives.by_layer, derivatives.forms, strict=True):
        # Only where the derivatives are those of the inputs was the layer given the inputs.
        if layer is first and J is not None and not agree(J, derivatives.jacobian):
            first = None
        if layer is first:
            sensitivity = values[:, 0]
        elif J is not None:
            sensitivity = spectral_norms(J)
        else:
            sensitivity = torch.zeros(len(values), dtype=torch.float64)
        seen = layer.call.input.flatten(1)
        terms[layer.name] = LayerTerms(
            layer,
            form.positions,
            torch.linalg.vector_norm(seen, dim=1, dtype=torch.float64).cpu(),
            sensitivity,
            form.output.cpu(),
        )
        for role, name in layer.names.items():
            sq_norms[name] = getattr(form, role).cpu()
    return Sweep(
        trace.output.detach(),
        values,
        sq_norms,
        terms,
        left_out(network, trace, layers),
        first.name if first else None,
    )


def _outside(found: Sweep, least: float, most: float) -> Tensor:
    """(n,): the samples with a squared norm that is not between two values."""
    squares = [
        *found.sq_norms.values(),
        *(terms.output_gradient_sq_norm for terms in found.layers.values()),
        *(terms.sensitivity.square() for terms in found.layers.values()),
    ]
    outside = torch.zeros(len(found.output), dtype=torch.bool)
    for square in squares:
        outside |= ~((square >= least) & (square <= most))
    return outside


def _overwrite(found: Sweep, rows: Tensor, other: Sweep) -> None:
    """Put the norms of `other` into some rows of `found`."""
    for name, sq_norms in found.sq_norms.items():
        sq_norms[rows] = other.sq_norms[name]
    for name, terms in found.layers.items():
        terms.sensitivity[rows] = other.layers[name].sensitivity
        terms.output_gradient_sq_norm[rows] = other.layers[name].output_gradient_sq_norm
