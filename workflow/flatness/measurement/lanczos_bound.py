"""An upper bound of the spectral norm of large matrices by few products with them.

Lanczos iterations from a vector x make orthonormal vectors q_j(A) x / ||x||, with q_j a
polynomial of degree j that the iterations' coefficients define. With v the unit eigenvector of
the largest eigenvalue lambda of a symmetric A, the part of v in their span is no longer than v:

    sum_j q_j(lambda)^2 (v . x)^2 / ||x||^2 <= 1.

The sum grows with lambda beyond the largest Ritz value. So a lower bound of (v . x)^2 gives an
upper bound of lambda; no gap between eigenvalues is needed. Of normally distributed vectors x,
independent of A, at least one of `count` has

    (v . x)^2 >= t  but for a share P((v . x)^2 < t)^count = FAILING of all draws,

so that the largest of the bounds of the single vectors holds for each such draw.
"""

from math import log1p, pi, sqrt

import numpy as np
import torch
from torch import Tensor

# The share of all draws of the first vectors for which the bound would not hold.
FAILING = 1e-9
# Iterations end when the bound is this close to a value from below, or after so many.
CLOSE, ROUNDS = 1.1, 8
# Vectors that are multiplied together, in real numbers of a product. One vector takes nearly as
# long as these where the matrices are read from memory.
VECTORS = 8
# The share of a norm that rounding in float32 may hide, by far.
_ROUNDING = 1e-4
_TINY = 1e-30
# Points at which a bound is searched for, each of two times.
_STEPS = 40


class Blocks:
    """Matrices that act each on its own part of a vector.

    Args:
        real: (blocks, rows, columns), float32.
        imaginary: the same, or None where all are real. Those of complex matrices act on the real
            and the imaginary part of a vector, and each singular value is a double one.
    """

    def __init__(self, real: Tensor, imaginary: Tensor | None = None):
        if real.shape[1] < real.shape[2]:  # the transposed matrices have the same norms
            real, imaginary = real.mT, None if imaginary is None else imaginary.mT
        self._real = real.contiguous()
        self._imaginary = None if imaginary is None else imaginary.contiguous()
        self.parts = 1 if imaginary is None else 2
        self.shape = (len(real), self.parts, real.shape[2])

    def gram(self, vectors: Tensor) -> Tensor:
        """B^H B x of each x in (blocks, parts, vectors, columns)."""
        x = vectors.flatten(1, 2)
        if self._imaginary is None:
            z = (x @ self._real.mT) @ self._real
        else:
            y = _turned(x @ self._real.mT, x @ self._imaginary.mT, 1)
            z = _turned(y @ self._real, y @ self._imaginary, -1)
        return z.reshape(vectors.shape)


def _turned(real: Tensor, imaginary: Tensor, sign: int) -> Tensor:
    """Of products with vectors' (real, imaginary) parts, those with real +- i imaginary."""
    first, second = imaginary.tensor_split(2, dim=1)
    count = real.shape[1] // 2
    real[:, :count] -= sign * second
    real[:, count:] += sign * first
    return real


def norm_bound(blocks: Blocks) -> float:
    """At least the largest spectral norm of the blocks, but for a share FAILING of all draws.

    It is at most CLOSE times that norm where ROUNDS iterations suffice.

    Vectors are not made orthogonal once more: they lose it where a Ritz value has converged, and
    iterations end before.

    Cost: per round two products of the blocks with VECTORS real or half as many complex vectors.
    """
    count = VECTORS // blocks.parts
    generator = torch.Generator("cpu").manual_seed(0)
    shape = (*blocks.shape[:2], count, blocks.shape[2])
    vectors = torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")
    lengths = np.sqrt(_products(vectors, vectors))
    # ||x||^2 / (v . x)^2 at most, for one of the vectors.
    ratios = np.maximum(lengths**2 / _smallest_square(count, blocks.parts), 1)
    before, current = torch.zeros_like(vectors), vectors / _column(lengths)
    iterations = Iterations(count)
    for _ in range(ROUNDS):
        following = blocks.gram(current)
        if iterations.beside:
            following -= _column(iterations.beside[-1]) * before
        diagonal = _products(following, current)
        following -= _column(diagonal) * current
        lengths = np.sqrt(_products(following, following))
        iterations.add(diagonal, lengths)
        ritz = iterations.largest_ritz_values()
        if iterations.exceed(CLOSE**2 * ritz.max(), ratios).all():
            break
        before, current = current, following / _column(np.maximum(lengths, _TINY))
    return (1 + _ROUNDING) * sqrt(iterations.largest_eigenvalues(ritz, ratios).max())


def _products(left: Tensor, right: Tensor) -> np.ndarray:
    """Inner products of vectors (blocks, parts, vectors, columns), in float64."""
    return torch.linalg.vecdot(left, right).sum((0, 1), dtype=torch.float64).numpy()


def _column(numbers: np.ndarray) -> Tensor:
    return torch.from_numpy(numbers).float()[:, None]


def _smallest_square(count: int, parts: int) -> float:
    """The t that the largest of `count` squares (v . x)^2 is below for a share FAILING of draws.

    For complex matrices v . x has two normally distributed parts, and its square is below t for
    the share 1 - exp(-t / 2); of one part, for less than (2 t / pi)^(1/2).
    """
    share = FAILING ** (1 / count)
    return -2 * log1p(-share) if parts == 2 else pi / 2 * share**2


class Iterations:
    """The coefficients of Lanczos iterations of some vectors, and what follows from them.

    Attributes:
        diagonal, beside: by step, (vectors,): of each vector's tridiagonal matrix. The last of
            `beside` is the length of what the last step left.
    """

    def __init__(self, count: int):
        self._count = count
        self.diagonal: list[np.ndarray] = []
        self.beside: list[np.ndarray] = []

    def add(self, diagonal: np.ndarray, beside: np.ndarray) -> None:
        """One step."""
        self.diagonal.append(diagonal)
        self.beside.append(beside)

    def largest_ritz_values(self) -> np.ndarray:
        """(vectors,); no larger than the largest eigenvalue, to rounding."""
        steps = len(self.diagonal)
        T = np.zeros((self._count, steps, steps))
        on, off = np.arange(steps), np.arange(steps - 1)
        T[:, on, on] = np.transpose(self.diagonal)
        if steps > 1:
            T[:, off, off + 1] = T[:, off + 1, off] = np.transpose(self.beside[:-1])
        return np.linalg.eigvalsh(T)[:, -1]

    def exceed(self, values: np.ndarray, ratios: np.ndarray) -> np.ndarray:
        """Whether the sum of all q_j(value)^2 is above `ratios`.

        Args:
            values: (..., vectors), at least the largest Ritz value of each vector.
            ratios: (vectors,).
        """
        values = np.broadcast_to(values, np.broadcast_shapes(np.shape(values), ratios.shape))
        before, current, last = np.zeros_like(values), np.ones_like(values), 0.0
        total = np.ones_like(values)
        for on, off in zip(self.diagonal, self.beside, strict=True):
            # What is shorter is rounding. A larger one only weakens the bound.
            off = np.maximum(off, 1e-8 * values)
            before, current = current, ((values - on) * current - last * before) / off
            total, last = total + current**2, off
        return total > ratios

    def largest_eigenvalues(self, ritz: np.ndarray, ratios: np.ndarray) -> np.ndarray:
        """(vectors,): upper bounds of the largest eigenvalue, each unless its ratio is larger.

        They are at most a thousandth above where the sum of squares is the ratio.
        """
        shares = np.linspace(1, 2, _STEPS + 1)[:, None]
        low, step = ritz, ritz
        while not self.exceed(low + step, ratios).all():
            step = 2 * step
        for _ in range(2):
            above = self.exceed(low + step * (shares - 1), ratios)
            above[-1] = True
            first = above.argmax(0)
            low, step = low + step * (np.maximum(first, 1) - 1) / _STEPS, step / _STEPS
        return low + step
