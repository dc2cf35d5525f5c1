"""A direction in which a product with a matrix vanishes only if the matrix does."""

import torch
from torch import Tensor


def normals(like: Tensor) -> Tensor:
    """Normally distributed numbers, the same at each call, where another tensor is and as it is.

    Drawn where they are needed, since there are as many as a layer has outputs at all positions of
    all samples. On the CPU they are drawn in float64, so that one dtype has the numbers of the
    other. Elsewhere torch's generators are used; `exact_arithmetic` puts them back.
    """
    if like.device.type != "cpu":
        torch.manual_seed(0)
        return torch.randn_like(like)
    generator = torch.Generator(device="cpu").manual_seed(0)
    drawn = torch.randn(like.shape, generator=generator, dtype=torch.float64, device="cpu")
    return drawn.to(like)
