"""Sums of squares of many numbers, in one dtype or a wider one."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flatness.measurement.fetching import fetched

# Sums of squares outside of this range may lack terms that float32 cannot hold.
SAFE_IN_FLOAT32 = (1e-30, 1e30)
# Entries of float32 whose squares are added up one after another.
_PART = 2**10


def sums_of_squares(values: Tensor) -> Tensor:
    """(n,) float64: the sum of squares of each of (n, ...), formed in the dtype of the values.

    Norms read their entries once, which takes a third of the time of squares and their sum, but
    add them one after another, so they are taken of a part of a row at a time.
    """
    rows = _in_memory_order(values)
    if rows.shape[1] <= _PART:
        return torch.linalg.vector_norm(rows, dim=1).double().square()
    whole = rows.shape[1] // _PART * _PART
    parts = torch.linalg.vector_norm(rows[:, :whole].unflatten(1, (-1, _PART)), dim=2)
    rest = torch.linalg.vector_norm(rows[:, whole:], dim=1)
    return parts.double().square().sum(1) + rest.double().square()


def totals_of_squares(tensors: Sequence[Tensor]) -> list[Tensor]:
    """() float64 on the CPU each: the sum of all squares of a tensor.

    Formed in float64 where float32 has no room.
    """
    least, most = SAFE_IN_FLOAT32
    found = fetched([sums_of_squares(torch.atleast_1d(values)[None])[0] for values in tensors])
    return [
        total
        if values.dtype == torch.float64 or least < total < most
        else (torch.linalg.vector_norm(values, dtype=torch.float64) ** 2).cpu()
        for values, total in zip(tensors, found, strict=True)
    ]


def _in_memory_order(values: Tensor) -> Tensor:
    """(n, entries): each row's entries as they lie in memory, copied only if they must be."""
    axes = sorted(range(1, values.ndim), key=values.stride, reverse=True)
    return values.permute(0, *axes).flatten(1)
