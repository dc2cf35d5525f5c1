"""Derivatives without autograd: what the values of a network say."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


@torch.no_grad()
def input_jacobians(model: nn.Module, inputs: Tensor, step: float = 1e-6) -> Tensor:
    """(n, N, M) by central differences of a network in float64."""
    columns = []
    for k in range(inputs[0].numel()):
        change = torch.zeros_like(inputs).flatten(1)
        change[:, k] = step
        change = change.reshape(inputs.shape)
        columns.append((model(inputs + change) - model(inputs - change)) / (2 * step))
    return torch.stack(columns, 2)


@torch.no_grad()
def hessian_trace(model: nn.Module, loss: Callable[[], Tensor], step: float = 1e-4) -> float:
    """The trace of the Hessian in all parameters, by second differences of the loss."""
    trace, middle = 0.0, float(loss())
    for parameter in model.parameters():
        entries = parameter.data.view(-1)
        for k, value in enumerate(entries.tolist()):
            entries[k] = value + step
            above = float(loss())
            entries[k] = value - step
            below = float(loss())
            entries[k] = value
            trace += (above - 2 * middle + below) / step**2
    return trace
