"""Jacobians of one chunk, in the pieces that fit into memory.

Wanted are singular values of many Jacobians, of the inputs and of each layer's input. The N
rows of each come one backward pass after the other, so all rows must be held before anything
can be made of them, but not all columns: both ways to singular values (see `decompositions`)
take groups of columns one after another. Where all Jacobians together need more memory than
they may, groups of columns come in several rounds of N backward passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Piece:
    """Columns `start` to `stop` of one Jacobian."""

    name: str | None
    start: int
    stop: int


def rounds(
    widths: Sequence[tuple[str | None, int]], row_bytes: int, budget: int
) -> list[list[Piece]]:
    """Distribute columns over rounds of backward passes.

    Args:
        widths: names of the Jacobians, and their numbers of columns; those that come last are
            nearest to the output, and cost least when they are taken once more.
        row_bytes: what one column of all rows of all samples takes.
        budget: what all columns of one round may take.

    Returns:
        One list per round, at least one; every column in one of them.
    """
    room = max(budget // row_bytes, 1)
    found: list[list[Piece]] = [[]]
    left = room
    for name, width in widths:
        start = 0
        while start < width:
            if left == 0:
                found.append([])
                left = room
            stop = min(width, start + left)
            found[-1].append(Piece(name, start, stop))
            left -= stop - start
            start = stop
    return found


class Columns:
    """Some columns of the Jacobians of n samples, filled row by row; zero where none came.

    All columns keep the order in which the first gradient lies in memory: copying is fast, and
    neither singular values nor norms depend on it. Some of them are taken in the order of the
    axes, which is the same in every round.

    Args:
        piece: which columns.
        example: (n, ...), a gradient of the shape and dtype of all.
        outputs: N.
        dtype: of the Jacobians.
    """

    def __init__(self, piece: Piece, example: Tensor, outputs: int, dtype: torch.dtype):
        self._axes = list(range(1, example.ndim))
        if piece.stop - piece.start == example[0].numel():
            self._axes.sort(key=example.stride, reverse=True)
        self._columns = slice(piece.start, piece.stop)
        self._rows = torch.empty(
            len(example), outputs, piece.stop - piece.start, dtype=dtype, device=example.device
        )
        self._missing = set(range(outputs))

    def put(self, output: int, gradient: Tensor) -> None:
        """Take in the gradients (n, ...) of one output."""
        rows = gradient.permute(0, *self._axes).flatten(1)
        self._rows[:, output] = rows[:, self._columns]
        self._missing.discard(output)

    def jacobian(self) -> Tensor:
        """(n, N, columns)."""
        for output in self._missing:
            self._rows[:, output] = 0
        return self._rows
