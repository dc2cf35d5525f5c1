"""Spectral norms of layers as linear maps of their whole input.

A linear layer applies W to each row, so its norm is ||W||_2: Lanczos iterations in the
dtype of W give the leading vector u, and ||u^T W|| / ||u||, formed in float64, has an error
of the second order in that of u. A convolution with zeros
around it is a part of the circular convolution on a torus that is large enough for
nothing to wrap around: padding decides which rows are kept, the stride which of them.
The circular convolution is block-diagonal in Fourier space, with one block
sum_k W_k exp(-i omega k), (channels out x channels in), for each frequency, so

    ||T||_2 <= max over omega of the block's spectral norm.

Padding that repeats entries of the input multiplies the norm by at most the root of
how often an entry is repeated.
"""

from collections.abc import Iterator
from math import pi, sqrt

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor, nn
from torch.nn import functional

# Bounds the blocks that are held together, in bytes.
_BLOCK_BYTES = 2**25
# The bound is that of the power 2^_SQUARINGS of a Gram matrix.
_SQUARINGS = 3
# The share of an eigenvalue that a bound in complex64 may fall short of, by far.
_ROUNDING = 1e-3
# Below this size a full decomposition is as fast as Lanczos iterations.
_SMALL = 64


def operator_norm(module: nn.Module, weight: Tensor, input_shape: tuple[int, ...]) -> float:
    """An upper bound of ||T||_2 for z = T x + b; the norm itself for a linear layer.

    Args:
        module: a linear layer, or a convolution of any stride, padding, dilation and groups.
        weight: its weight.
        input_shape: (n, ..., F) of a linear layer's input, (n, channels, *spatial) of a
            convolution's.

    Returns:
        The bound, in float64.
    """
    if isinstance(module, nn.Linear):
        return matrix_norm(weight)
    W = weight.detach().to("cpu", torch.float64)
    scale = float(W.abs().max())
    if scale == 0:
        return 0.0
    spatial = list(input_shape[2:])
    repeated = 1
    if module.padding_mode != "zeros":
        padding = module._reversed_padding_repeated_twice
        for axis, extent in enumerate(reversed(spatial)):
            before, after = padding[2 * axis : 2 * axis + 2]
            entries = functional.pad(
                torch.arange(float(extent))[None, None], (before, after), module.padding_mode
            )
            spatial[-1 - axis] = entries.numel()
            repeated *= int(entries.long().flatten().bincount().max())
    return max(_block_norms(module, W / scale, spatial)) * scale * sqrt(repeated)


def matrix_norm(weight: Tensor) -> float:
    """||W||_2 of a matrix.

    The relative error is at most the resolution of its dtype; for float32 about 1e-10, unless
    the largest singular values agree to within that resolution.
    """
    W = weight.detach().cpu()
    if W.shape[0] > W.shape[1]:
        W = W.mT
    rows = W.shape[0]
    largest = float(W.abs().max())
    if rows <= _SMALL or not 1e-10 < largest < 1e10:  # squares stay within float32
        return float(torch.linalg.matrix_norm(W.double(), 2))
    # numpy's products of a matrix and a vector take half as long as torch's.
    array = np.ascontiguousarray(W.numpy())
    gram = LinearOperator((rows, rows), lambda u: array @ (array.T @ u), dtype=array.dtype)
    start = np.random.default_rng(0).standard_normal(rows).astype(array.dtype)
    try:
        # To the resolution of the dtype: a larger residual would be enough where the largest
        # singular value stands apart, but would bound the error elsewhere.
        _, vectors = eigsh(gram, k=1, which="LA", v0=start)
    except ArpackError:
        return float(torch.linalg.matrix_norm(W.double(), 2))
    u = torch.from_numpy(vectors[:, 0].astype(np.float64))
    return float((u @ W.double()).norm() / u.norm())


def _block_norms(module: nn.Module, weight: Tensor, spatial: list[int]) -> Iterator[float]:
    """The largest spectral norms of the Fourier blocks of a bounded number of frequencies each.

    Args:
        module: the convolution.
        weight: (channels out, channels in / groups, *kernel), float64.
        spatial: the input's extents.
    """
    spans = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
    torus = [extent + span for extent, span in zip(spatial, spans, strict=True)]
    # (kernel entries, axes), in steps of the torus.
    places = torch.cartesian_prod(
        *(d * torch.arange(k) for d, k in zip(module.dilation, module.kernel_size, strict=True))
    ).reshape(-1, len(spatial))
    # Blocks at opposite frequencies are complex conjugates: half of one axis is enough.
    halves = [*torus[:-1], torus[-1] // 2 + 1]
    frequencies = torch.cartesian_prod(
        *(
            2 * pi * torch.arange(half, dtype=torch.float64) / extent
            for half, extent in zip(halves, torus, strict=True)
        )
    ).reshape(-1, len(spatial))
    kernel = weight.reshape(module.groups, -1, weight.shape[1], len(places))
    for some in frequencies.split(max(1, _BLOCK_BYTES // (16 * weight.shape[0] * weight.shape[1]))):
        waves = torch.exp(-1j * (places.double() @ some.T))
        yield _largest_norm(kernel, waves)


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
