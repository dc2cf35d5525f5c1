"""A direction in which a product with a matrix vanishes only if the matrix does."""

import torch
from torch import Tensor


def normals(like: Tensor) -> Tensor:
    """Normally distributed numbers, the same at each call, where another tensor is and as it is.

    A GPU draws its own, since there are as many as a layer has outputs at all positions of all
    samples. Elsewhere they are drawn in float64 on the CPU, so that one dtype has the numbers of
    the other.
    """
    on_gpu = like.device.type == "cuda"
    place = like.device if on_gpu else torch.device("cpu")
    generator = torch.Generator(place).manual_seed(0)
    dtype = like.dtype if on_gpu else torch.float64
    return torch.randn(like.shape, generator=generator, dtype=dtype, device=place).to(like)
