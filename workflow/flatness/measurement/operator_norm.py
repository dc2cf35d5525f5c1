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
# Of norms from complex64, the share by which they may fall short of the largest one.
_NEAR = 1e-3
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
    largest = max(float(norms.max()) for norms in _block_norms(module, W, spatial))
    return largest * sqrt(repeated)


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
        _, vectors = eigsh(gram, k=1, which="LA", v0=start)
    except ArpackError:
        return float(torch.linalg.matrix_norm(W.double(), 2))
    u = torch.from_numpy(vectors[:, 0].astype(np.float64))
    return float((u @ W.double()).norm() / u.norm())


def _block_norms(module: nn.Module, weight: Tensor, spatial: list[int]) -> Iterator[Tensor]:
    """Spectral norms of the Fourier blocks, for a bounded number of frequencies at a time.

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
    frequencies = (
        torch.cartesian_prod(
            *(
                2 * pi * torch.arange(half) / extent
                for half, extent in zip(halves, torus, strict=True)
            )
        )
        .reshape(-1, len(spatial))
        .double()
    )
    kernel = weight.reshape(module.groups, -1, weight.shape[1], len(places))
    for some in frequencies.split(max(1, _BLOCK_BYTES // (16 * weight.shape[0] * weight.shape[1]))):
        waves = torch.exp(-1j * (places.double() @ some.T))
        # Found in complex64; those near the largest again in complex128.
        norms = _spectral_norms(_blocks(kernel.to(torch.complex64), waves.to(torch.complex64)))
        near = norms.flatten(0, -1) >= (1 - _NEAR) * norms.max()
        blocks = _blocks(kernel.to(torch.complex128), waves)
        yield _spectral_norms(blocks.flatten(0, 1)[near])


def _blocks(kernel: Tensor, waves: Tensor) -> Tensor:
    """(groups, frequencies, channels out, channels in)."""
    return (kernel @ waves).movedim(3, 1).contiguous()


def _spectral_norms(blocks: Tensor) -> Tensor:
    gram = blocks.mH @ blocks if blocks.shape[-2] > blocks.shape[-1] else blocks @ blocks.mH
    return torch.linalg.eigvalsh(gram)[..., -1].clamp_min(0).sqrt()
