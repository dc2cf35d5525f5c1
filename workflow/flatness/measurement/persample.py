"""Parameter gradients of any network, one sample and output at a time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flatness.measurement.frozen import FrozenNetwork


def per_sample_sq_norms(
    network: FrozenNetwork, inputs: Tensor, names: Sequence[str], adaptive: bool
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Differentiate each output of each sample on its own.

    Exact for every architecture; costs one forward and N backward passes per sample.

    Args:
        network: the network.
        inputs: (n, *input_shape).
        names: the parameters.
        adaptive: whether gradients times the parameters are wanted, too.

    Returns:
        By name, (n,) float64: the sum over outputs and entries of (df_j/dtheta_p)^2, and that
        of (theta_p df_j/dtheta_p)^2, empty if it is not wanted.
    """
    leaves = [network.leaves[name] for name in names]
    values = [leaf.detach().double() for leaf in leaves] if adaptive else []
    totals = torch.zeros(2, len(names), len(inputs), dtype=torch.float64, device=inputs.device)
    for sample in range(len(inputs)):
        # The network may differentiate with respect to its inputs itself.
        alone = slice(sample, sample + 1)
        output = network.of(alone)(inputs[alone].detach().clone().requires_grad_())[0]
        for j in range(len(output)):
            gradients = torch.autograd.grad(
                output[j], leaves, retain_graph=j + 1 < len(output), allow_unused=True
            )
            for row, gradient in enumerate(gradients):
                if gradient is None:
                    continue
                gradient = gradient.double()
                totals[0, row, sample] += gradient.square().sum()
                if adaptive:
                    totals[1, row, sample] += gradient.mul_(values[row]).square().sum()
    plain, weighted = (dict(zip(names, each, strict=True)) for each in totals)
    return plain, weighted if adaptive else {}
