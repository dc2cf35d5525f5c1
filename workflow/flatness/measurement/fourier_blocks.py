"""The largest spectral norm of a convolution's blocks in Fourier space, on a grid.

A convolution with zeros around it is a part of the circular convolution on a torus that is
large enough for nothing to wrap around: padding decides which rows are kept, the stride which
of them. The circular convolution is block-diagonal in Fourier space, with one block

    P(omega) = sum_k W_k exp(-i omega k), (channels out x channels in), for each frequency, so

    ||T||_2 <= max of ||P(omega)||_2 over the torus's frequencies <= sup over all omega.

**Coarser grids.** u^* P(omega) v of unit vectors u, v is a trigonometric polynomial in each
component of omega, with K terms for a kernel of extent K; times exp(i omega (K - 1) / 2), which
leaves its size, of degree (K - 1) / 2. Where the real part of such a polynomial has its largest
size s, it is at least s cos((K - 1) / 2 |omega' - omega|) at omega' (an inequality of M. Riesz;
for half-integer degrees, substitute 2 omega). A grid of M > K - 1 equally spaced
frequencies has one within pi / M. So, one axis after the other,

    sup ||P|| <= max over the grid of ||P|| / prod over axes of cos(pi (K - 1) / (2 M)),

which does not depend on extents or dilation.
"""

from collections.abc import Iterator
from math import acos, ceil, cos, pi, prod, sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from flatness.measurement.lanczos_bound import ROUNDS, VECTORS, Blocks, norm_bound

# Bounds the blocks that are held together, in bytes.
_BLOCK_BYTES = 2**25
# The bound is that of the power 2^_SQUARINGS of a Gram matrix.
_SQUARINGS = 3
# The share of an eigenvalue that a bound in complex64 may fall short of, by far.
_ROUNDING = 1e-3


class Grid(NamedTuple):
    """Frequencies at which blocks are formed, and what their largest norm says of all others.

    Attributes:
        points: equally spaced frequencies by axis.
        steps: between neighbouring places of the kernel by axis.
        factor: the largest norm times it is a bound of ||T||_2.
    """

    points: tuple[int, ...]
    steps: tuple[int, ...]
    factor: float


def torus(
    kernel_size: tuple[int, ...], extents: tuple[int, ...], dilation: tuple[int, ...]
) -> Grid:
    """All frequencies of the smallest torus on which nothing wraps around."""
    axes = zip(kernel_size, extents, dilation, strict=True)
    return Grid(tuple(extent + d * (k - 1) for k, extent, d in axes), dilation, 1.0)


def coarsened(full: Grid, kernel_size: tuple[int, ...], factor: float) -> Grid:
    """The torus with fewer frequencies, so that the bound's factor is at most `factor`, above 1.

    An axis keeps those of the torus where they are no more.
    """
    by_axis = factor ** (-1 / sum(k > 1 for k in kernel_size))
    points, steps, product = [], [], 1.0
    for k, all_points, step in zip(kernel_size, full.points, full.steps, strict=True):
        fewer = ceil(pi * (k - 1) / (2 * acos(by_axis))) if k > 1 else 1
        if fewer < all_points:
            product /= cos(pi * (k - 1) / (2 * fewer))
        points.append(min(fewer, all_points))
        steps.append(1 if fewer < all_points else step)
    return Grid(tuple(points), tuple(steps), product)


def decomposition_flops(shape: tuple[int, ...], groups: int, grid: Grid) -> int:
    """Operations of `by_decomposition`, but for the few blocks that are decomposed."""
    rows, columns = shape[0] // groups, shape[1]
    small, large = sorted((rows, columns))
    grams = 8 * small**2 * large + 8 * _SQUARINGS * small**3 if small > 1 else 0
    return _frequencies(grid) * groups * (4 * prod(shape[2:]) * rows * columns + grams)


def iteration_flops(shape: tuple[int, ...], grid: Grid) -> int:
    """Operations of `by_iterations`, at most."""
    each = 4 * prod(shape[2:]) + 8 * VECTORS * ROUNDS
    return _frequencies(grid) * shape[0] * shape[1] * each


def iteration_bytes(shape: tuple[int, ...], grid: Grid) -> int:
    """What all blocks take that `by_iterations` holds."""
    return 8 * _frequencies(grid) * shape[0] * shape[1]


def by_iterations(weight: Tensor, groups: int, grid: Grid) -> float:
    """An upper bound of ||T||_2 by a bound of all blocks' norms.

    Args:
        weight: (channels out, channels in / groups, *kernel), float32, entries of moderate size.
        groups: of the channels.
        grid: of the frequencies.

    Cost: `iteration_flops`, and `iteration_bytes` of memory.
    """
    angles = _half_of_the_frequencies(grid) @ _places(weight.shape[2:], grid.steps).T
    taps = weight.flatten(0, 1).flatten(1)
    shape = (len(angles) * groups, len(weight) // groups, weight.shape[1])
    blocks = [(wave.float() @ taps.mT).reshape(shape) for wave in (angles.cos(), angles.sin())]
    return grid.factor * norm_bound(Blocks(*blocks))


def by_decomposition(weight: Tensor, groups: int, grid: Grid) -> float:
    """An upper bound of ||T||_2 by the largest of the blocks' norms, to rounding in float64.

    Arguments as of `by_iterations`, but the weight in float64. Cost: `decomposition_flops`.
    """
    return grid.factor * max(block_norms(weight, groups, grid))


def block_norms(weight: Tensor, groups: int, grid: Grid) -> Iterator[float]:
    """The largest norms of the blocks of a bounded number of frequencies each."""
    places = _places(weight.shape[2:], grid.steps)
    kernel = weight.reshape(groups, -1, weight.shape[1], len(places))
    together = max(1, _BLOCK_BYTES // (16 * weight.shape[0] * weight.shape[1]))
    for some in _half_of_the_frequencies(grid).split(together):
        angles = places @ some.T
        if min(kernel.shape[1:3]) == 1:
            squares = (kernel @ angles.cos()).square_() + (kernel @ angles.sin()).square_()
            yield sqrt(float(squares.sum((1, 2)).max()))
        else:
            yield _largest_norm(kernel, torch.complex(angles.cos(), -angles.sin()))


def _frequencies(grid: Grid) -> int:
    return prod(grid.points[:-1]) * (grid.points[-1] // 2 + 1)


def _half_of_the_frequencies(grid: Grid) -> Tensor:
    """(frequencies, axes). Blocks at opposite ones are complex conjugates: half is enough."""
    halves = [*grid.points[:-1], grid.points[-1] // 2 + 1]
    steps = [
        2 * pi * torch.arange(half, dtype=torch.float64, device="cpu") / extent
        for half, extent in zip(halves, grid.points, strict=True)
    ]
    return torch.cartesian_prod(*steps).reshape(-1, len(halves))


def _places(kernel_size: tuple[int, ...], dilation: tuple[int, ...]) -> Tensor:
    """(kernel entries, axes), in steps of the torus, float64."""
    steps = [
        d * torch.arange(k, dtype=torch.float64, device="cpu")
        for d, k in zip(dilation, kernel_size, strict=True)
    ]
    return torch.cartesian_prod(*steps).reshape(-1, len(steps))


def _largest_norm(kernel: Tensor, waves: Tensor) -> float:
    """The largest spectral norm of the blocks at some frequencies.

    Blocks are decomposed only where a cheap bound from above exceeds what was found.

    Args:
        kernel: (groups, channels out, channels in, kernel entries), float64.
        waves: (kernel entries, frequencies), complex128.
    """
    grams = _grams(kernel.to(torch.complex64), waves.to(torch.complex64))
    bounds = _bounds_of_eigenvalues(grams).amax(0)
    order = bounds.argsort(descending=True)
    kernel = kernel.to(waves.dtype)
    largest, together = 0.0, 2
    while len(order):
        some, order = order[:together], order[together:]
        largest = max(largest, float(torch.linalg.eigvalsh(_grams(kernel, waves[:, some])).max()))
        order, together = order[bounds[order] > largest], 2 * together
    return sqrt(largest)


def _grams(kernel: Tensor, waves: Tensor) -> Tensor:
    """The smaller Gram matrix of each block: (groups, frequencies, channels, channels)."""
    blocks = (kernel @ waves).movedim(3, 1).contiguous()
    return blocks.mH @ blocks if blocks.shape[-2] > blocks.shape[-1] else blocks @ blocks.mH


def _bounds_of_eigenvalues(grams: Tensor) -> Tensor:
    """Upper bounds of the largest eigenvalue of positive semidefinite matrices (..., n, n).

    lambda_1^m <= ||G^m||_F, which is too large by at most the factor n^(1/2) of lambda_1^m.
    """
    norms = _frobenius_norms(grams)
    log_bounds = norms.double().log()
    for squaring in range(1, _SQUARINGS + 1):
        grams = grams / norms.clamp_min(torch.finfo(norms.dtype).tiny)[..., None, None]
        grams = grams @ grams
        norms = _frobenius_norms(grams)
        log_bounds += norms.double().log() / 2**squaring
    return (1 + _ROUNDING) * log_bounds.exp()


def _frobenius_norms(matrices: Tensor) -> Tensor:
    """Of complex (..., n, n); torch's own takes absolute values first, at ten times the cost."""
    return torch.linalg.vector_norm(torch.view_as_real(matrices).flatten(-3), dim=-1)
