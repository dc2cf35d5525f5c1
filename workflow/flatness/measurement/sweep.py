"""The sweep: one forward and N backward passes of a chunk give every primitive."""

from dataclasses import dataclass

import torch
from torch import Tensor

from flatness.errors import MeasurementError
from flatness.measurement.layers import ClosedForm, sum_of_squares
from flatness.measurement.persample import per_sample_sq_norms
from flatness.measurement.tracing import (
    FrozenNetwork,
    Layer,
    Trace,
    agree,
    input_layer,
    layers_of,
    left_out,
)

# Bounds the float64 copies that decompositions work on, in bytes.
_BLOCK_BYTES = 2**27


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

    Args:
        network: what was traced.
        trace: of n samples; its output is (n, N). Its graph is used up.
        twin: of its samples at `twin_positions`.

    Raises:
        MeasurementError: the input Jacobian is not finite.
    """
    output = trace.output
    n, outputs = output.shape
    layers = layers_of(network, trace, twin)
    forms = [ClosedForm(layer.call.module, layer.call.input) for layer in layers]
    first = input_layer(trace, layers)

    parameters = network.parameters(trace)
    sq_norms = {
        name: torch.zeros(n, dtype=torch.float64, device=output.device) for name in parameters
    }
    output_gradients = torch.zeros(len(layers), n, dtype=torch.float64, device=output.device)
    jacobian = output.new_zeros(n, outputs, trace.inputs[0].numel())
    by_layer = [output.new_zeros(n, outputs, layer.call.input[0].numel()) for layer in layers]
    for j in range(outputs):
        pick = torch.zeros_like(output)
        pick[:, j] = 1
        gradient, *gradients = torch.autograd.grad(
            output,
            [
                trace.inputs,
                *(layer.call.input_edge for layer in layers),
                *(layer.call.edge for layer in layers),
            ],
            pick,
            retain_graph=j + 1 < outputs,
            allow_unused=True,
        )
        if gradient is not None:
            jacobian[:, j] = gradient.flatten(1)
        into, out_of = gradients[: len(layers)], gradients[len(layers) :]
        for k, (layer, form) in enumerate(zip(layers, forms, strict=True)):
            if out_of[k] is None:
                continue
            by_layer[k][:, j] = into[k].flatten(1)
            output_gradients[k] += sum_of_squares(out_of[k])
            for role, name in layer.names.items():
                sq_norms[name] += getattr(form, role)(out_of[k])
    if not jacobian.isfinite().all():
        raise MeasurementError(
            "model: its input Jacobian holds values that are not finite. Allowed: a network that "
            "is differentiable at the samples. Look for overflow, or for roots and quotients at 0."
        )
    values = singular_values(jacobian)
    # Only where the derivatives are those of the inputs was the layer given the inputs.
    if first is not None and not agree(by_layer[layers.index(first)], jacobian):
        first = None

    terms = {}
    for layer, form, J, sq_norm in zip(layers, forms, by_layer, output_gradients, strict=True):
        terms[layer.name] = LayerTerms(
            layer,
            form.positions,
            torch.linalg.vector_norm(layer.call.input.double().flatten(1), dim=1).cpu(),
            values[:, 0] if layer is first else spectral_norms(J),
            sq_norm.cpu(),
        )
    closed = {name for layer in layers for name in layer.names.values()}
    rest = [name for name in parameters if name not in closed]
    if rest:
        sq_norms |= per_sample_sq_norms(network, trace.inputs.detach(), rest)
    for what in (*sq_norms.values(), output_gradients):
        if not what.isfinite().all():
            raise MeasurementError(
                "model: its parameter Jacobian holds values that are not finite. Allowed: a "
                "network that is differentiable at the samples. Look for overflow, or for roots "
                "and quotients at 0."
            )
    return Sweep(
        output.detach(),
        values,
        sq_norms,
        terms,
        left_out(network, trace, layers),
        first.name if first else None,
    )


def singular_values(jacobian: Tensor) -> Tensor:
    """Singular values of each sample's input Jacobian.

    A QR factorisation of J^T leaves an N x N triangle with the same singular values,
    without squaring the condition number as the Gram matrix J J^T would; both steps
    are done in float64 on the CPU, where small decompositions are fastest.

    Args:
        jacobian: (n, N, M).

    Returns:
        (n, N) float64 on the CPU, decreasing; the square roots of the N eigenvalues of
        J J^T, so the last N - M are zero where N > M.
    """
    _, outputs, inputs = jacobian.shape
    values = []
    for J in _blocks(jacobian):
        J = J.to("cpu", torch.float64)
        if outputs <= inputs:
            _, J = torch.linalg.qr(J.transpose(1, 2), mode="r")
        values.append(torch.linalg.svdvals(J))
    together = torch.cat(values)
    return torch.nn.functional.pad(together, (0, outputs - together.shape[1]))


def spectral_norms(jacobian: Tensor) -> Tensor:
    """The largest singular value of each sample's Jacobian (n, N, M), (n,) float64 on the CPU.

    From the smaller Gram matrix in float64, which keeps the largest value to full precision.
    """
    values = []
    for J in _blocks(jacobian):
        J = J.to("cpu", torch.float64)
        gram = J @ J.mT if J.shape[1] <= J.shape[2] else J.mT @ J
        values.append(torch.linalg.eigvalsh(gram)[:, -1].clamp_min(0).sqrt())
    return torch.cat(values)


def _blocks(jacobian: Tensor) -> tuple[Tensor, ...]:
    """The samples in groups whose float64 copies stay small."""
    return jacobian.split(max(1, _BLOCK_BYTES // (8 * jacobian[0].numel())))
