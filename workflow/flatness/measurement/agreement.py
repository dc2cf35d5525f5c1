"""Whether two tensors are the same but for rounding."""

import torch
from torch import Tensor


def agree(one: Tensor, other: Tensor, dtype: torch.dtype | None = None) -> bool:
    """Whether two tensors differ by no more than rounding explains.

    Allows the square root of the resolution of the dtype, relative to the largest entry.

    Args:
        one: a tensor.
        other: another.
        dtype: in which they were computed, if that is not the one they have now.
    """
    if one.shape != other.shape:
        return False
    return one.numel() == 0 or bool(agreeing(one, other, dtype))


def agreeing(one: Tensor, other: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """() bool on the device: `agree` of two tensors of one shape that are not empty."""
    one, other = one.detach(), other.detach()
    scale = torch.maximum(one.abs().max(), other.abs().max())
    return (one - other).abs().max() <= torch.finfo(dtype or one.dtype).eps ** 0.5 * scale
