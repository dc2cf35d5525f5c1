"""The least work: one forward pass and N backward passes of the batch to the input."""

import torch
from torch import Tensor, nn


def floor(network: nn.Module, inputs: Tensor) -> Tensor:
    """The input Jacobian (N, n, ...), and nothing else."""
    return _rows(network, inputs, [])


def floor_and_weights(network: nn.Module, inputs: Tensor) -> Tensor:
    """Torch's gradients of the weights besides, which are summed over the samples."""
    return _rows(network, inputs, [p for p in network.parameters() if p.ndim > 1])


def _rows(network: nn.Module, inputs: Tensor, weights: list[Tensor]) -> Tensor:
    leaf = inputs.clone(memory_format=torch.preserve_format).requires_grad_()
    output = network(leaf)
    outputs = output.shape[1]
    rows = []
    for j in range(outputs):
        pick = torch.zeros_like(output)
        pick[:, j] = 1
        gradient, *_ = torch.autograd.grad(
            output, [leaf, *weights], pick, retain_graph=j + 1 < outputs
        )
        rows.append(gradient)
    return torch.stack(rows)
