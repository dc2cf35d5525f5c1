"""Where the samples lie in a tensor.

Samples need not be the first axis: attention may put the sequence first, and layers often take
samples and positions folded into one axis, in either order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Placement:
    """Samples along one axis, which is (before, samples, after) folded together.

    Args:
        axis: the axis.
        before: how many blocks of all samples follow one another along it.
    """

    axis: int
    before: int

    def samples_first(self, tensor: Tensor, samples: int) -> Tensor:
        """(samples, *axes before the axis, before, after, *axes behind it), mostly a view."""
        if self.axis == 0 and self.before == 1:
            return tensor.unflatten(0, (samples, -1)).unsqueeze(1)
        return tensor.unflatten(self.axis, (self.before, samples, -1)).movedim(self.axis + 1, 0)

    def folded(self, tensor: Tensor) -> Tensor:
        """The way back from `samples_first`."""
        if self.axis == 0 and self.before == 1:
            return tensor.squeeze(1).flatten(0, 1)
        return tensor.movedim(0, self.axis + 1).flatten(self.axis, self.axis + 2)


def candidates(
    shape: Sequence[int], samples: int, axes: Sequence[int] | None = None
) -> Iterator[Placement]:
    """Every place where that many samples may lie, the most usual first.

    Args:
        shape: of the tensor.
        samples: how many.
        axes: those that come into question; None for all.
    """
    for axis in range(len(shape)) if axes is None else axes:
        if shape[axis] == 0 or shape[axis] % samples:
            continue
        positions = shape[axis] // samples
        for before in range(1, positions + 1):
            if positions % before == 0:
                yield Placement(axis, before)
