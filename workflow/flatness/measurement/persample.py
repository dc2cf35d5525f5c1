"""Parameter gradients of any network, one sample and output at a time."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from flatness.measurement.frozen import FrozenNetwork
from flatness.progress.share import done


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
    totals = torch.zeros(2, len(names), len(inputs), dtype=torch.float64, device=inputs.device)
    for sample in range(len(inputs)):
        alone = slice(sample, sample + 1)
        for squares in _squares(network.of(alone), inputs[alone], names, None, adaptive):
            totals[:, :, sample] += squares
        done(1 / len(inputs))
    plain, weighted = (dict(zip(names, each, strict=True)) for each in totals)
    return plain, weighted if adaptive else {}


def per_sample_sq_norms_of(
    network: FrozenNetwork,
    inputs: Tensor,
    names: Sequence[str],
    combinations: Tensor,
    adaptive: bool,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Differentiate some combinations of the outputs of each sample on their own.

    Costs one forward pass per sample, and one backward pass for each of its combinations.

    Args:
        network: the network.
        inputs: (n, *input_shape).
        names: the parameters.
        combinations: (n, k, N), the weights v of the outputs.
        adaptive: whether gradients times the parameters are wanted, too.

    Returns:
        By name, (k, n) float64: the sum over entries of (d(v.f)/dtheta_p)^2, and that of
        (theta_p d(v.f)/dtheta_p)^2, empty if it is not wanted.
    """
    n, k = combinations.shape[:2]
    found = torch.zeros(2, len(names), k, n, dtype=torch.float64, device=inputs.device)
    for sample, vectors in enumerate(combinations):
        alone = slice(sample, sample + 1)
        every = _squares(network.of(alone), inputs[alone], names, vectors, adaptive)
        for row, squares in enumerate(every):
            found[:, :, row, sample] = squares
        done(1 / n)
    plain, weighted = (dict(zip(names, each, strict=True)) for each in found)
    return plain, weighted if adaptive else {}


def _squares(
    network: FrozenNetwork,
    sample: Tensor,
    names: Sequence[str],
    combinations: Tensor | None,
    adaptive: bool,
) -> Iterator[Tensor]:
    """(2, names) float64 for each combination of outputs; for each output where there are none."""
    leaves = [network.leaves[name] for name in names]
    # The network may differentiate with respect to its inputs itself.
    output = network(sample.detach().clone().requires_grad_())[0]
    if combinations is None:
        combinations = torch.eye(len(output), device=output.device)
    for j, weights in enumerate(combinations.to(output.dtype)):
        gradients = torch.autograd.grad(
            output, leaves, weights, retain_graph=j + 1 < len(combinations), allow_unused=True
        )
        squares = torch.zeros(2, len(names), dtype=torch.float64, device=output.device)
        for row, gradient in enumerate(gradients):
            if gradient is None:
                continue
            gradient = gradient.double()
            squares[0, row] = gradient.square().sum()
            if adaptive:
                squares[1, row] = gradient.mul_(leaves[row].detach()).square().sum()
        yield squares
