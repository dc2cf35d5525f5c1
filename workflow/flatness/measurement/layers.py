"""Closed forms: per-sample squared gradient norms of linear layers and convolutions.

Both kinds compute z_t = W a_t + b at positions t: a linear layer at every row of its
input, a convolution, in each of its groups, at every window. With d_t the cotangent
of z_t, the gradients of one sample are dW = sum_t d_t a_t^T and db = sum_t d_t, and

    ||dW||_F^2 = sum_{t,t'} (a_t . a_t') (d_t . d_t').

The left side costs T F C products per sample for T positions, F entries of a_t and C
of d_t, the right side T^2 C, once the products of the a_t are known: they are the same
for every output. For T = 1 the right side is |a|^2 |d|^2. For more positions its terms
may cancel, so it is used where it is cheaper and the network's precision leaves room:
for float32 networks, in float64.
"""

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

_CONVOLUTIONS = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
KINDS = (nn.Linear, *_CONVOLUTIONS)


def takes(module: nn.Module, layer_input: Tensor) -> bool:
    """Whether the input has a sample axis: layers also take inputs without one."""
    if isinstance(module, nn.Linear):
        return layer_input.ndim >= 2
    return layer_input.ndim == 2 + _CONVOLUTIONS[type(module)]


class ClosedForm:
    """Squared gradient norms of one layer, prepared from its input.

    Args:
        module: a layer of one of the `KINDS`; convolutions of any stride, padding,
            dilation and number of groups.
        layer_input: (n, ..., F) for a linear layer, (n, channels, *spatial) for a
            convolution.

    `positions` is how often the layer applies its weight to one sample.
    """

    def __init__(self, module: nn.Module, layer_input: Tensor):
        self.linear = isinstance(module, nn.Linear)
        self.groups = 1 if self.linear else module.groups
        inputs = by_position(module, layer_input)
        self.positions, features = inputs.shape[2:]
        cheaper = self.positions < features and inputs.dtype == torch.float32
        if self.positions == 1 or cheaper:
            inputs = inputs.double()
            self.products, self.inputs = inputs @ inputs.mT, None
        else:
            self.products, self.inputs = None, inputs

    def weight(self, cotangent: Tensor) -> Tensor:
        """(n,) float64: ||dW||_F^2 for cotangents shaped like the layer's output."""
        d = self._by_position(cotangent)
        if self.products is None:
            return sum_of_squares(d @ self.inputs)
        d = d.double()
        return (self.products * (d.mT @ d)).flatten(1).sum(1).clamp_min(0)

    def bias(self, cotangent: Tensor) -> Tensor:
        """(n,) float64: ||db||^2."""
        return sum_of_squares(self._by_position(cotangent).sum(-1))

    def _by_position(self, cotangent: Tensor) -> Tensor:
        """(n, groups, C, T)."""
        if self.linear:
            return _rows(cotangent)[:, None].mT
        n, channels = cotangent.shape[:2]
        return cotangent.reshape(n, self.groups, channels // self.groups, -1)


def by_position(module: nn.Module, layer_input: Tensor) -> Tensor:
    """What the layer's weight is applied to: (n, groups, T, F), the a_t."""
    if isinstance(module, nn.Linear):
        return _rows(layer_input)[:, None]
    return _windows(module, layer_input)


def sum_of_squares(values: Tensor) -> Tensor:
    """(n,) float64: the sum of squares of everything that belongs to each sample."""
    values = values.flatten(1)
    norms = torch.linalg.vector_norm(values, dim=1).double()
    # Outside of this range squares may leave that of float32; the conversion of all would be slow.
    unsafe = (norms < 1e-15) | (norms > 1e15)
    if unsafe.any():
        norms[unsafe] = torch.linalg.vector_norm(values[unsafe].double(), dim=1)
    return norms.square()


def _rows(tensor: Tensor) -> Tensor:
    """(n, ..., F) as (n, T, F)."""
    n, *positions, features = tensor.shape
    return tensor.reshape(n, prod(positions), features)


def _windows(module, layer_input: Tensor) -> Tensor:
    """What each position of a convolution sees: (n, groups, T, channels / groups * kernel)."""
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    # The layer keeps its padding, of every mode, in the order that `pad` takes.
    windows = functional.pad(layer_input, module._reversed_padding_repeated_twice, mode=mode)
    for axis, (size, stride, dilation) in enumerate(
        zip(module.kernel_size, module.stride, module.dilation, strict=True), start=2
    ):
        span = dilation * (size - 1) + 1
        windows = windows.unfold(axis, span, stride)[..., ::dilation]
    n, channels = windows.shape[:2]
    positions = prod(windows.shape[2 : 2 + _CONVOLUTIONS[type(module)]])
    windows = windows.reshape(n, module.groups, channels // module.groups, positions, -1)
    return windows.transpose(2, 3).flatten(3)
