"""Squared parameter-gradient norms of any network, one sample and output at a time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flatness.measurement.tracing import FrozenNetwork


def per_sample_sq_norms(
    network: FrozenNetwork, inputs: Tensor, names: Sequence[str]
) -> dict[str, Tensor]:
    """Differentiate each output of each sample on its own.

    Exact for every architecture; costs one forward and N backward passes per sample.

    Args:
        network: the network.
        inputs: (n, *input_shape).
        names: the parameters.

    Returns:
        By name: (n,) float64, sum over outputs and entries of (df_j/dtheta_p)^2.
    """
    leaves = [network.leaves[name] for name in names]
    totals = torch.zeros(len(names), len(inputs), dtype=torch.float64, device=inputs.device)
    for sample in range(len(inputs)):
        # The network may differentiate with respect to its inputs itself.
        output = network(inputs[sample : sample + 1].clone().requires_grad_())[0]
        for j in range(len(output)):
            gradients = torch.autograd.grad(
                output[j], leaves, retain_graph=j + 1 < len(output), allow_unused=True
            )
            for row, gradient in enumerate(gradients):
                if gradient is not None:
                    totals[row, sample] += gradient.double().square().sum()
    return dict(zip(names, totals, strict=True))
