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
    calls_with_closed_form,
    first_linear_layer,
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


def sweep(network: FrozenNetwork, trace: Trace, single: Trace) -> Sweep:
    """Differentiate every output of a traced chunk with respect to inputs and parameters.

    Args:
        network: what was traced.
        trace: of n samples; its output is (n, N). Its graph is used up.
        single: of the first of these samples alone.

    Raises:
        MeasurementError: the input Jacobian is not finite.
    """
    output = trace.output
    n, outputs = output.shape
    found = calls_with_closed_form(network, trace, single)
    input_weight = first_linear_layer(trace, found)
    calls = list({id(call): call for _, call in found.values()}.values())
    position = {id(call): k for k, call in enumerate(calls)}
    forms = [ClosedForm(call.module, call.input) for call in calls]

    sq_norms = {
        name: torch.zeros(n, dtype=torch.float64, device=output.device) for name in network.leaves
    }
    jacobian = output.new_zeros(n, outputs, trace.inputs[0].numel())
    for j in range(outputs):
        pick = torch.zeros_like(output)
        pick[:, j] = 1
        gradient, *cotangents = torch.autograd.grad(
            output,
            [trace.inputs, *(call.edge for call in calls)],
            pick,
            retain_graph=j + 1 < outputs,
            allow_unused=True,
        )
        if gradient is not None:
            jacobian[:, j] = gradient.flatten(1)
        for name, (role, call) in found.items():
            cotangent = cotangents[position[id(call)]]
            if cotangent is not None:
                sq_norms[name] += getattr(forms[position[id(call)]], role)(cotangent)

    if not jacobian.isfinite().all():
        raise MeasurementError(
            "model: its input Jacobian holds values that are not finite. Allowed: a network that "
            "is differentiable at the samples. Look for overflow, or for roots and quotients at 0."
        )

    rest = [name for name in network.leaves if name not in found]
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
