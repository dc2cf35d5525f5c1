"""The sweep: one forward and N backward passes of a chunk give every primitive."""

from dataclasses import dataclass

import torch
from torch import Tensor

from flatness.errors import MeasurementError
from flatness.measurement.layers import ClosedForm
from flatness.measurement.persample import per_sample_sq_norms
from flatness.measurement.tracing import (
    FrozenNetwork,
    Trace,
    agree,
    first_linear_layer,
    layers_with_closed_form,
)


@dataclass(frozen=True)
class Sweep:
    """What one chunk of n samples gives.

    Args:
        output: (n, N).
        singular_values: (n, N) float64 on the CPU, of the input Jacobian, decreasing.
        sq_norms: (n,) float64 by name of the parameter, summed over outputs.
        input_weight: name of the first linear layer's weight, or None.
    """

    output: Tensor
    singular_values: Tensor
    sq_norms: dict[str, Tensor]
    input_weight: str | None


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
    layers = layers_with_closed_form(network, trace, twin)
    forms = [ClosedForm(layer.call.module, layer.call.input) for layer in layers]
    first = first_linear_layer(trace, layers)
    into_first = 0  # sum over outputs of the cotangents of the first linear layer

    sq_norms = {
        name: torch.zeros(n, dtype=torch.float64, device=output.device) for name in network.leaves
    }
    jacobian = output.new_zeros(n, outputs, trace.inputs[0].numel())
    for j in range(outputs):
        pick = torch.zeros_like(output)
        pick[:, j] = 1
        gradient, *cotangents = torch.autograd.grad(
            output,
            [trace.inputs, *(layer.call.edge for layer in layers)],
            pick,
            retain_graph=j + 1 < outputs,
            allow_unused=True,
        )
        if gradient is not None:
            jacobian[:, j] = gradient.flatten(1)
        for layer, form, cotangent in zip(layers, forms, cotangents, strict=True):
            if cotangent is None:
                continue
            for role, name in layer.names.items():
                sq_norms[name] += getattr(form, role)(cotangent)
            if layer is first:
                into_first = into_first + cotangent
    if not jacobian.isfinite().all():
        raise MeasurementError(
            "model: its input Jacobian holds values that are not finite. Allowed: a network that "
            "is differentiable at the samples. Look for overflow, or for roots and quotients at 0."
        )

    input_weight = None
    if first is not None and torch.is_tensor(into_first):
        W = network.leaves[first.names["weight"]].detach()
        if agree(jacobian.sum(1), into_first @ W):  # the second line of Eq. 4
            input_weight = first.names["weight"]

    closed = {name for layer in layers for name in layer.names.values()}
    rest = [name for name in network.leaves if name not in closed]
    if rest:
        sq_norms |= per_sample_sq_norms(network, trace.inputs.detach(), rest)
    return Sweep(output.detach(), singular_values(jacobian), sq_norms, input_weight)


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
    J = jacobian.to("cpu", torch.float64)
    _, outputs, inputs = J.shape
    if outputs <= inputs:
        _, J = torch.linalg.qr(J.transpose(1, 2), mode="r")
    values = torch.linalg.svdvals(J)
    return torch.nn.functional.pad(values, (0, outputs - values.shape[1]))
