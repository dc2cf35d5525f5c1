"""Closed forms: per-sample squared gradient norms of linear layers and convolutions.

Both kinds compute z_t = W a_t + b at positions t: a linear layer at every row of its
input, a convolution, in each of its groups, at every window. With d_t the cotangent
of z_t, the gradients of one sample are dW = sum_t d_t a_t^T and db = sum_t d_t, and

    ||dW||_F^2 = sum_{t,t'} (a_t . a_t') (d_t . d_t').

For T positions, F entries of a_t and C of d_t the left side costs T F C products per
sample and output, the right side T^2 C, once the products of the a_t are known: they are
the same for every output. For T = 1 the right side is |a|^2 |d|^2. For more positions its
terms may cancel, so it is taken in float64, where a product costs about twice as much, and
where that is cheaper; a float64 network leaves no room for the cancellation.
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
    """Squared norms of one layer's gradients, summed over the outputs given to `add`.

    Args:
        module: a layer of one of the `KINDS`; convolutions of any stride, padding,
            dilation and number of groups.
        layer_input: (n, ..., F) for a linear layer, (n, channels, *spatial) for a
            convolution.
        dtype: in which products are formed, the network's or a wider one.

    `positions` is how often the layer applies its weight to one sample; `output` is the sum
    of ||d||^2, `weight` of ||dW||_F^2 and `bias` of ||db||^2, each (n,) float64.
    """

    def __init__(self, module: nn.Module, layer_input: Tensor, dtype: torch.dtype):
        self.linear, self.dtype = isinstance(module, nn.Linear), dtype
        self.groups = 1 if self.linear else module.groups
        inputs = by_position(module, layer_input).to(dtype)
        n, groups, self.positions, features = inputs.shape
        zeros = torch.zeros(n, dtype=torch.float64, device=inputs.device)
        self.output, self._weight, self._bias = zeros, zeros.clone(), zeros.clone()
        self._input_sq_norm = self._products = self._inputs = None
        if self.positions == 1:
            self._input_sq_norm = sum_of_squares(inputs)
        elif 2 * self.positions < features and layer_input.dtype == torch.float32:
            inputs = inputs.double()
            self._products = (inputs @ inputs.mT).flatten(0, 1)
            self._cotangent_products = torch.zeros_like(self._products)
        else:
            # A feature that is 1 everywhere gives the gradient of the bias.
            self._inputs = functional.pad(inputs, (0, 1), value=1).flatten(0, 1)

    def add(self, cotangent: Tensor) -> None:
        """Take in one output's cotangents, shaped like the layer's output."""
        d = self._by_position(cotangent.to(self.dtype))
        self.output = self.output + sum_of_squares(cotangent.to(self.dtype))
        if self._input_sq_norm is not None:
            return
        if self._products is not None:
            wide = d.double()
            self._cotangent_products.baddbmm_(wide, wide.mT)
            self._bias += self._of_samples(sum_of_squares(d.sum(1)))
            return
        sq_norms = torch.linalg.vector_norm(self._inputs.mT @ d, dim=2).double().square()
        self._weight += self._of_samples(sq_norms[:, :-1].sum(1))
        self._bias += self._of_samples(sq_norms[:, -1])

    @property
    def weight(self) -> Tensor:
        """Of the weight."""
        if self._input_sq_norm is not None:
            return self._input_sq_norm * self.output
        if self._products is not None:
            terms = self._products * self._cotangent_products
            return self._of_samples(terms.flatten(1).sum(1)).clamp_min(0)
        return self._weight

    @property
    def bias(self) -> Tensor:
        """Of the bias."""
        return self.output if self._input_sq_norm is not None else self._bias

    def _of_samples(self, values: Tensor) -> Tensor:
        """(n groups,) as (n,)."""
        return values.reshape(-1, self.groups).sum(1)

    def _by_position(self, cotangent: Tensor) -> Tensor:
        """(n groups, T, C)."""
        if self.linear:
            return _rows(cotangent)
        n, channels = cotangent.shape[:2]
        positions = cotangent.flatten(2).mT
        grouped = positions.reshape(n, -1, self.groups, channels // self.groups)
        return grouped.transpose(1, 2).flatten(0, 1)


def by_position(module: nn.Module, layer_input: Tensor) -> Tensor:
    """What the layer's weight is applied to: (n, groups, T, F), the a_t.

    Features of a convolution are ordered (*kernel, channels); see `weight_by_position`.
    """
    if isinstance(module, nn.Linear):
        return _rows(layer_input)[:, None]
    return _windows(module, layer_input)


def weight_by_position(module: nn.Module, entries: Tensor) -> Tensor:
    """Weights of each sample, (n, entries), in the order of `by_position`: (n, groups, C, F)."""
    weight = entries.reshape(len(entries), *module.weight.shape)
    if isinstance(module, nn.Linear):
        return weight[:, None]
    return weight.unflatten(1, (module.groups, -1)).movedim(3, -1).flatten(3)


def sum_of_squares(values: Tensor) -> Tensor:
    """(n,) float64: the sum of squares of everything that belongs to each sample."""
    return torch.linalg.vector_norm(in_memory_order(values), dim=1).double().square()


def in_memory_order(values: Tensor) -> Tensor:
    """(n, entries): each sample's entries as they lie in memory, copied only if they must be."""
    axes = sorted(range(1, values.ndim), key=values.stride, reverse=True)
    return values.permute(0, *axes).flatten(1)


def _rows(tensor: Tensor) -> Tensor:
    """(n, ..., F) as (n, T, F)."""
    n, *positions, features = tensor.shape
    return tensor.reshape(n, prod(positions), features)


def _windows(module, layer_input: Tensor) -> Tensor:
    """What each position of a convolution sees: (n, groups, T, kernel * channels / groups)."""
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    # The layer keeps its padding, of every mode, in the order that `pad` takes.
    padded = functional.pad(layer_input, module._reversed_padding_repeated_twice, mode=mode)
    # With the channels innermost, windows are copied in long pieces.
    windows = padded.movedim(1, -1).contiguous()
    axes = len(module.kernel_size)
    for axis, (size, stride, dilation) in enumerate(
        zip(module.kernel_size, module.stride, module.dilation, strict=True), start=1
    ):
        span = dilation * (size - 1) + 1
        windows = windows.unfold(axis, span, stride)[..., ::dilation]
    windows = windows.movedim(1 + axes, -1).unflatten(-1, (module.groups, -1)).movedim(-2, 1)
    return windows.flatten(2 + axes).flatten(2, 1 + axes)
