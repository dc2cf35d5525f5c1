"""Dense Jacobians, one sample and one output at a time, in float64.

Nothing of the package is used: each row is one call of autograd on a copy of the
network in which every parameter requires a gradient.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel


def dense_jacobians(model: nn.Module, inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Input Jacobians and parameter Jacobians.

    Returns:
        (n, N, M), and by parameter (n, N, entries).
    """
    model = copy.deepcopy(model).double().eval().requires_grad_(True)
    names, parameters = zip(*model.named_parameters(), strict=True)
    by_input, by_parameter = [], {name: [] for name in names}
    for sample in inputs.double():
        x = sample[None].clone().requires_grad_()
        output = model(x * 1)[0]
        rows = [
            torch.autograd.grad(
                value,
                [x, *parameters],
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            for value in output
        ]
        by_input.append(torch.stack([row[0].flatten() for row in rows]))
        for k, name in enumerate(names, start=1):
            by_parameter[name].append(torch.stack([row[k].flatten() for row in rows]))
    return torch.stack(by_input), {name: torch.stack(K) for name, K in by_parameter.items()}


def dense_hessian_trace(
    model: nn.Module, inputs: Tensor, loss_of: Callable[[Tensor], Tensor]
) -> float:
    """Trace of the Hessian in all parameters of a loss of the output, entry by entry."""
    model = copy.deepcopy(model).double().eval().requires_grad_(True)
    parameters = list(model.parameters())
    with sdpa_kernel(SDPBackend.MATH):  # other kernels of attention have one derivative only
        output = model(inputs.double().clone().requires_grad_() * 1)  # no leaf: it may change it
    first = torch.autograd.grad(
        loss_of(output), parameters, create_graph=True, materialize_grads=True
    )
    trace = 0.0
    for parameter, gradient in zip(parameters, first, strict=True):
        for entry, value in enumerate(gradient.flatten()):
            if value.requires_grad:
                (row,) = torch.autograd.grad(
                    value, parameter, retain_graph=True, allow_unused=True, materialize_grads=True
                )
                trace += float(row.flatten()[entry])
    return trace
