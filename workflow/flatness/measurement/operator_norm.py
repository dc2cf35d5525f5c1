"""Spectral norms of layers as linear maps of their whole input.

A linear layer applies W to each row, so its norm is ||W||_2. A convolution with zeros
around it is a part of the circular convolution on a torus that is large enough for
nothing to wrap around: padding decides which rows are kept, the stride which of them.
The circular convolution is block-diagonal in Fourier space, with one block
sum_k W_k exp(-i omega k), (channels out x channels in), for each frequency, so

    ||T||_2 <= max over omega of the block's spectral norm.

Padding that repeats entries of the input multiplies the norm by at most the root of
how often an entry is repeated.
"""

from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional


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
    W = weight.detach().to("cpu", torch.float64)
    if isinstance(module, nn.Linear):
        return float(torch.linalg.matrix_norm(W, 2))
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
    # Kernel entries stand apart by the dilation, then zeros up to the torus.
    spans = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
    torus = [extent + span for extent, span in zip(spatial, spans, strict=True)]
    spread = W.new_zeros(*W.shape[:2], *torus)
    where = [slice(0, span + 1, d) for span, d in zip(spans, module.dilation, strict=True)]
    spread[(..., *where)] = W
    blocks = torch.fft.rfftn(spread, dim=list(range(2, spread.ndim)))
    blocks = blocks.reshape(module.groups, -1, W.shape[1], prod(blocks.shape[2:]))
    blocks = blocks.permute(0, 3, 1, 2)
    gram = blocks.mH @ blocks if blocks.shape[2] > blocks.shape[3] else blocks @ blocks.mH
    return sqrt(float(torch.linalg.eigvalsh(gram)[..., -1].max().clamp_min(0)) * repeated)
