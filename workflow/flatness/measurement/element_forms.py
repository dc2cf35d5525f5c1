"""Closed forms: per-sample gradients of parameters that are added, multiplied or repeated.

Where z = s * theta + ..., theta repeated along some axes, the gradient of one sample is the sum
of d * s over these axes, d the cotangent of z; it has no more entries than the parameter.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from flatness.measurement.operations import ElementUse
from flatness.measurement.placement import Placement


class ElementForm:
    """Squared norms of the gradients of one parameter, summed over the outputs given to `add`.

    Args:
        uses: everything that is done with the parameter.
        placements: where the samples lie in what each of these returns.
        samples: n.
        value: the parameter.
        adaptive: whether gradients times the parameter are wanted, too.
        dtype: in which products are formed, the network's or a wider one.
    """

    def __init__(
        self,
        uses: Sequence[ElementUse],
        placements: Sequence[Placement],
        samples: int,
        value: Tensor,
        adaptive: bool,
        dtype: torch.dtype,
    ):
        self._uses, self._placements, self._samples = uses, placements, samples
        self._dtype = dtype
        self._value, self._scale = None, 1.0
        if adaptive:
            value = value.to(dtype).flatten()
            self._scale = float(value.abs().max())
            self._value = value / self._scale if self._scale else value
        self._device = value.device
        self.restart()

    def restart(self) -> None:
        """Begin anew with sums of zero; earlier results stay as they are."""
        self._sums = torch.zeros(2, self._samples, dtype=torch.float64, device=self._device)

    def add(self, cotangents: Sequence[Tensor]) -> None:
        """Take in one output's cotangents, each shaped like what its use returns."""
        gradient: Tensor | int = 0
        for use, where, cotangent in zip(self._uses, self._placements, cotangents, strict=True):
            gradient = gradient + use.sign * self._reduced(use, where, cotangent.to(self._dtype))
        self._sums[0] += gradient.square().sum(1).double()
        if self._value is not None:
            self._sums[1] += gradient.mul_(self._value).square().sum(1).double()

    def finish(self) -> None:
        """To be called when all outputs are taken in, before any result is asked for."""
        self.results = {"weight": self._sums[0]}
        if self._value is not None:
            self.results["adaptive_weight"] = self._sums[1] * self._scale**2

    def _reduced(self, use: ElementUse, where: Placement, cotangent: Tensor) -> Tensor:
        """(n, entries of the parameter)."""
        if use.factor is not None:
            cotangent = cotangent * use.factor
        d = where.samples_first(cotangent, self._samples)
        axes = repeated_axes(use, where)
        return (d.sum(axes) if axes else d).reshape(self._samples, -1)


def repeated_axes(use: ElementUse, where: Placement) -> list[int]:
    """Along which axes of a tensor with the samples first the parameter is repeated."""
    shape = (1,) * (len(use.output_shape) - len(use.shape)) + use.shape
    # The axis of the samples has become two, one before and one after them.
    apart = (*shape[: where.axis], 1, 1, *shape[where.axis + 1 :])
    return [axis for axis, extent in enumerate(apart, start=1) if extent == 1]
