"""An upper bound of a convolution's spectral norm, for about what a few passes cost.

How it is found depends on the layer's shape and its input's extents alone, by the first of these
rules that applies. A budget of operations (additions and multiplications) is the larger of
`SMALL` and one sample's forward pass through the layer.

1. Windows do not overlap (a kernel of one entry, or a stride no shorter than the kernel): the
   norm of the kernel as a matrix, exactly, by iterations until they converge.
2. The torus has so few Fourier blocks that decomposing them is within the budget: their largest
   norm, exactly.
3. Iterations on all blocks of the torus are within the budget: a bound of their largest norm.
4. The same on the finest of the grids of `FACTORS` for which either is within the budget: the
   largest norm of its blocks times the grid's factor.
5. The norm of the reshaped kernel times a factor, by iterations. It takes more than the budget
   where channels are many and extents few, but no more than 128 passes at one position.

Where windows overlap and the stride is above 1, also 5, and the smaller of the two.
"""

from math import ceil, prod
from typing import NamedTuple

import torch
from torch import Tensor

from flatness.measurement import fourier_blocks, reshaped_kernel
from flatness.measurement.fourier_blocks import Grid
from flatness.measurement.matrix_norm import largest_matrix_norm

MATRIX = "matrix"
LARGEST_BLOCK = "largest Fourier block"
ALL_BLOCKS = "bound of all Fourier blocks"
COARSE_GRID = "Fourier blocks on a coarse grid"
RESHAPED = "reshaped kernel"

# In operations. Convolutions of 64 channels on 3 x 3 entries stay below it, so that all of VGG10
# on images of 32 x 32 have their largest block decomposed.
SMALL = 2**27
# How much more than the largest norm on a coarse grid the norm may be elsewhere.
FACTORS = (1.02, 1.05, 1.1, 1.2, 1.35)
# Bounds the blocks that iterations hold, in bytes.
MEMORY = 2**27


class Norm(NamedTuple):
    """A norm, or an upper bound of it, and how it was found: one of the words above."""

    value: float
    method: str


def convolution_norm(
    weight: Tensor,
    extents: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    stride: tuple[int, ...] | None = None,
) -> Norm:
    """An upper bound of the spectral norm of a convolution with any zeros around its input.

    Args:
        weight: (channels out, channels in / groups, *kernel) of any floating dtype.
        extents: the input's, one for each axis of the kernel, after any padding that repeats
            entries.
        dilation: by axis.
        groups: of the channels.
        stride: by axis; None for 1, which also bounds the norm with any other.

    Returns:
        The bound, in float64, and how it was found. A bound by iterations holds but for a share
        `lanczos_bound.FAILING` of the draws of their first vectors.

    Cost: as of the rules above; blocks take at most 128 MiB.
    """
    stride = (1,) * len(extents) if stride is None else tuple(stride)
    plan = rule(weight.shape, tuple(extents), tuple(dilation), groups, stride)
    W = weight.detach().cpu()
    scale = float(torch.linalg.vector_norm(W, torch.inf))
    if scale == 0:
        return Norm(0.0, plan.method)
    if plan.method == MATRIX:
        return Norm(largest_matrix_norm(W.reshape(groups, len(W) // groups, -1)), MATRIX)
    found = []
    if plan.decomposes:
        value = fourier_blocks.by_decomposition(W.double() / scale, groups, plan.grid)
        found.append(Norm(scale * value, plan.method))
    if W.dtype == torch.float32 and 1e-4 < scale < 1e4:
        scale = 1.0  # a pass over the weight less; squares of squares stay within float32
    else:
        W = (W / scale).float()
    if plan.grid is not None and not plan.decomposes:
        value = fourier_blocks.by_iterations(W, groups, plan.grid)
        found.append(Norm(scale * value, plan.method))
    if plan.grid is None or max(stride) > 1:
        value = reshaped_kernel.reshaped_norm(W, groups, stride, dilation)
        found.append(Norm(scale * value, RESHAPED))
    return min(found)


class Plan(NamedTuple):
    """What is computed of a layer.

    Attributes:
        method: as of `Norm`.
        grid: of the frequencies, or None.
        decomposes: whether blocks are decomposed.
        flops: operations, at most, but for those of rule 1 and of the smaller of two bounds.
    """

    method: str
    grid: Grid | None = None
    decomposes: bool = False
    flops: int = 0


def rule(
    shape: tuple[int, ...],
    extents: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    stride: tuple[int, ...],
) -> Plan:
    """What `convolution_norm` computes, with its arguments, for a weight of a shape."""
    shape = tuple(shape)
    if not reshaped_kernel.windows_overlap(shape[2:], stride, dilation):
        return Plan(MATRIX)
    outputs = prod(ceil(extent / s) for extent, s in zip(extents, stride, strict=True))
    budget = max(SMALL, 2 * prod(shape) * outputs)
    torus = fourier_blocks.torus(shape[2:], extents, dilation)
    for factor in (1.0, *FACTORS):
        grid = torus if factor == 1 else fourier_blocks.coarsened(torus, shape[2:], factor)
        flops = fourier_blocks.decomposition_flops(shape, groups, grid)
        if flops <= budget:
            return Plan(COARSE_GRID if grid.factor > 1 else LARGEST_BLOCK, grid, True, flops)
        flops = fourier_blocks.iteration_flops(shape, grid)
        if flops <= budget and fourier_blocks.iteration_bytes(shape, grid) <= MEMORY:
            return Plan(COARSE_GRID if grid.factor > 1 else ALL_BLOCKS, grid, False, flops)
    return Plan(RESHAPED, flops=reshaped_kernel.reshaping_flops(shape))
