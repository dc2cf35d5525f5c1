"""Random combinations of a network's outputs, from which sums over outputs are estimated.

With v of N independent entries that are 1 or -1 with equal probability, E[v v^T] is the identity,
so that for any linear function of the outputs' gradients, such as df/dtheta_p,

    E ||d(v.f)/dtheta_p||^2 = E[v^T K K^T v] = Tr K K^T = sum_j ||df_j/dtheta_p||^2

(Hutchinson, 1990). The variance is twice the sum of the squares of K K^T off its diagonal: with
orthogonal rows there is none, and it is largest where all rows are parallel. One vector is drawn
for each sample and each probe, and serves all parameters, layers and inputs at once.
"""

from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from flatness.errors import MeasurementError
from flatness.measurement.signs import generator_of, signs


@dataclass(frozen=True)
class Probes:
    """How many combinations of the outputs are differentiated, and which.

    Args:
        count: k, of each sample.
        seed: of the draws.
    """

    count: int
    seed: int

    def __post_init__(self):
        if not _is_integer(self.count) or self.count < 2:
            raise MeasurementError(
                f"probes = {self.count!r}. Allowed: an integer of 2 or more, or there is no "
                "standard error. Raise it, or leave it out for the exact way."
            )
        if not _is_integer(self.seed):
            raise MeasurementError(f"seed = {self.seed!r}. Allowed: an integer. Choose one.")

    def signs(self, first: int, samples: int, outputs: int) -> Tensor:
        """(samples, k, outputs) int8 on the CPU, each 1 or -1.

        Args:
            first: position of the first of these samples among all.
            samples: how many.
            outputs: N.
        """
        drawn = [
            signs(generator_of(self.seed, first + i, "signs of outputs"), self.count * outputs)
            for i in range(samples)
        ]
        return torch.stack(drawn).reshape(samples, self.count, outputs)

    def starts(self, first: int, samples: int, outputs: int) -> Tensor:
        """(samples, outputs) float64 on the CPU, normally distributed: where iterations start."""
        drawn = [
            torch.randn(
                outputs,
                generator=generator_of(self.seed, first + i, "start of iterations"),
                dtype=torch.float64,
                device="cpu",
            )
            for i in range(samples)
        ]
        return torch.stack(drawn)


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
