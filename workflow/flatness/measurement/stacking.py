"""Jacobians, put together from the gradients of one output after the other."""

import torch
from torch import Tensor


class Stack:
    """The Jacobians of n samples, filled output by output; zero where nothing was put.

    Columns keep the order in which the first gradient lies in memory: copying is fast, and
    neither singular values nor norms depend on it.

    Args:
        example: (n, ...), a gradient of the shape and dtype of all.
        outputs: N.
        dtype: of the Jacobians.
    """

    def __init__(self, example: Tensor, outputs: int, dtype: torch.dtype):
        self._axes = sorted(range(1, example.ndim), key=example.stride, reverse=True)
        n, entries = len(example), example[0].numel()
        self.jacobian = torch.zeros(n, outputs, entries, dtype=dtype, device=example.device)

    def put(self, output: int, gradient: Tensor) -> None:
        """Take in the gradients (n, ...) of one output."""
        self.jacobian[:, output] = gradient.permute(0, *self._axes).flatten(1)
