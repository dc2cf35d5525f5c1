"""Ways to get the primitives of a network; all return the same numbers.

Each takes a network and inputs (n, ...) and returns `Primitives`. Spectral norms of the
weights, which do not depend on samples, are left out of all but `flatness.measure`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

KINDS = (nn.Linear, nn.Conv2d)


@dataclass(frozen=True)
class Primitives:
    """What every way must find.

    Args:
        singular_values: (n, N), of the input Jacobian, decreasing.
        sq_norms: (n,) by parameter, summed over outputs.
        sensitivities: (n,) by layer, the spectral norm of df/dx^l.
        output_sq_norms: (n,) by layer, ||df/dz^l||_F^2.
    """

    singular_values: Tensor
    sq_norms: dict[str, Tensor]
    sensitivities: dict[str, Tensor]
    output_sq_norms: dict[str, Tensor]


def layers_of(network: nn.Module) -> dict[str, nn.Module]:
    """Linear layers and convolutions by name."""
    return {name: m for name, m in network.named_modules() if isinstance(m, KINDS)}


def squares(gradients: Tensor) -> Tensor:
    """(n,): the sum of squares of each sample's entries."""
    return gradients.flatten(1).square().sum(1)


def spectral_norms(jacobians: Tensor) -> Tensor:
    """(n,) of (n, N, ...), by the smaller Gram matrix."""
    J = jacobians.flatten(2)
    gram = J @ J.mT if J.shape[1] <= J.shape[2] else J.mT @ J
    return torch.linalg.eigvalsh(gram)[:, -1].clamp_min(0).sqrt()


def own_view(_module: nn.Module, arguments: tuple) -> tuple:
    """A hook that gives a layer a view of its input, whose gradient is that through it alone."""
    (seen,) = arguments
    return (seen.view_as(seen),)
