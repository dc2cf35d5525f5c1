"""Spectral norms of layers as linear maps of their whole input, or upper bounds of them.

A linear layer applies W to each row, so its norm is ||W||_2, or a bound of it where W is so large
that iterations until they converge cost more than passes. A convolution's is bounded as if
zeros were around its input. Padding that repeats entries of the input multiplies the bound by
at most the root of how often an entry is repeated.
"""

from math import sqrt

import torch
from torch import Tensor
from torch.nn import functional

from flatness.measurement.convolution_norm import MATRIX, Norm, convolution_norm
from flatness.measurement.lanczos_bound import Blocks, norm_bound
from flatness.measurement.matrix_norm import matrix_norm
from flatness.measurement.operations import Convolution

BOUND = "bound of the matrix"

# Entries of a matrix whose norm is bounded. No linear layer of the paper has so many.
_LARGE = 2**23


def operator_norm(
    weight: Tensor,
    convolution: Convolution | None = None,
    extents: tuple[int, ...] = (),
    padding: tuple[str, tuple[int, ...]] | None = None,
) -> Norm:
    """||T||_2 for z = T x + b of a linear layer, or an upper bound of it.

    It is a bound for convolutions, and for matrices of more than 2^23 entries: there at most
    `lanczos_bound.CLOSE` times the norm, where `lanczos_bound.ROUNDS` iterations suffice, and one
    but for a share `lanczos_bound.FAILING` of the draws of their first vectors.

    Args:
        weight: as it is applied.
        convolution: how; None for a linear layer.
        extents: the spatial ones of a convolution's input.
        padding: (mode, extents as `torch.nn.functional.pad` takes them) of padding that
            repeats entries of that input, or None.
    """
    if convolution is None:
        return _bound(weight) if weight.numel() > _LARGE else Norm(matrix_norm(weight), MATRIX)
    factor = 1.0
    if padding is not None:
        mode, backwards = padding
        around = list(zip(backwards[::2], backwards[1::2], strict=True))[::-1]
        factor = repetitions(extents, around, mode)
        extents = tuple(
            extent + before + after for extent, (before, after) in zip(extents, around, strict=True)
        )
    found = convolution_norm(
        weight, extents, convolution.dilation, convolution.groups, stride=convolution.stride
    )
    return found._replace(value=found.value * factor)


def _bound(weight: Tensor) -> Norm:
    W = weight.detach().cpu()
    scale = float(torch.linalg.vector_norm(W, torch.inf))
    if scale == 0:
        return Norm(0.0, BOUND)
    if W.dtype == torch.float32 and 1e-4 < scale < 1e4:
        scale = 1.0  # a copy of the weight less; squares of squares stay within float32
    else:
        W = (W / scale).float()
    return Norm(scale * norm_bound(Blocks(W[None])), BOUND)


def repetitions(extents: tuple[int, ...], padding: list[tuple[int, int]], mode: str) -> float:
    """The norm of padding that repeats entries, at least: the root of how often it repeats one.

    Args:
        extents: the input's.
        padding: entries before and after it, by axis.
        mode: "circular", "reflect" or "replicate".
    """
    times = 1
    for extent, around in zip(extents, padding, strict=True):
        entries = torch.arange(extent, dtype=torch.float32, device="cpu")[None, None]
        padded = functional.pad(entries, around, mode).long().flatten()
        times *= int(padded.bincount().max())
    return sqrt(times)
