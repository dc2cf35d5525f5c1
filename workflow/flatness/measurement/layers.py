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

Only sums over the outputs are asked for, so the d_t of several outputs may stand side by
side, as if they were channels of one. Products with that many columns take two thirds of
the time, which is worth the copy unless F is small.
"""

from math import ceil, prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from flatness.measurement.products import grams, products

_CONVOLUTIONS = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
KINDS = (nn.Linear, *_CONVOLUTIONS)
# Cotangents of several outputs are put side by side up to about so many columns, where the
# layer's weight is applied to at least so many features.
_COLUMNS = 128
_FEATURES = 64


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
        outputs: N, how often `add` will be called at most.
        dtype: in which products are formed, the network's or a wider one.

    `positions` is how often the layer applies its weight to one sample; `output` is the sum
    of ||d||^2, `weight` of ||dW||_F^2 and `bias` of ||db||^2, each (n,) float64.
    """

    def __init__(self, module: nn.Module, layer_input: Tensor, outputs: int, dtype: torch.dtype):
        self._dtype, self._outputs = dtype, outputs
        self._collects, self._columns = False, None
        self._groups = None if isinstance(module, nn.Linear) else module.groups
        self.output = torch.zeros(len(layer_input), dtype=torch.float64, device=layer_input.device)
        if isinstance(module, nn.Linear) and prod(layer_input.shape[1:-1]) == 1:
            self.positions, self._way = 1, _OnePosition(layer_input, self)
            return
        inputs = by_position(module, layer_input.to(dtype), ones=1).flatten(0, 1)
        _, self.positions, features = inputs.shape
        cheaper = 2 * self.positions < features and layer_input.dtype == torch.float32
        self._way = _Products(inputs[..., :-1]) if cheaper else _Gradients(inputs)
        self._collects = features > _FEATURES

    def add(self, cotangent: Tensor) -> None:
        """Take in one output's cotangents, shaped like the layer's output."""
        cotangent = cotangent.to(self._dtype)
        self.output = self.output + sum_of_squares(cotangent)
        d = self._by_position(cotangent)
        if not self._collects:
            self._way.add(d)
            return
        if self._columns is None:
            self._columns = _Columns(d, self._outputs, self._way.dtype)
        if self._columns.put(d):
            self._way.add(self._columns.taken_out())

    def finish(self) -> None:
        """To be called when all outputs are taken in, and before any norm is asked for."""
        if self._columns is not None and self._columns.filled:
            self._way.add(self._columns.taken_out())
        self._columns = None

    @property
    def weight(self) -> Tensor:
        """Of the weight."""
        return self._of_samples(self._way.weight())

    @property
    def bias(self) -> Tensor:
        """Of the bias."""
        return self._of_samples(self._way.bias())

    def _of_samples(self, values: Tensor) -> Tensor:
        """(n groups,) as (n,)."""
        return values.reshape(len(self.output), -1).sum(1)

    def _by_position(self, cotangent: Tensor) -> Tensor:
        """(n groups, T, C)."""
        if self._groups is None:
            return _rows(cotangent)
        n, channels = cotangent.shape[:2]
        positions = cotangent.flatten(2).mT
        grouped = positions.reshape(n, -1, self._groups, channels // self._groups)
        return grouped.transpose(1, 2).flatten(0, 1)


class _OnePosition:
    """A linear layer at one position: norms of its input and of its cotangents are enough."""

    def __init__(self, layer_input: Tensor, form: ClosedForm):
        self._input_sq_norm, self._form = sum_of_squares(layer_input.double()), form

    def add(self, d: Tensor) -> None:
        """Nothing more."""

    def weight(self) -> Tensor:
        return self._input_sq_norm * self._form.output

    def bias(self) -> Tensor:
        return self._form.output


class _Products:
    """From the products of the a_t, (b, T, F), and those of the d_t, (b, T, columns)."""

    dtype = torch.float64

    def __init__(self, inputs: Tensor):
        inputs = inputs.to(self.dtype)
        self._of_inputs = grams(inputs)
        self._of_cotangents = torch.zeros_like(self._of_inputs)
        self._bias = inputs.new_zeros(len(inputs))

    def add(self, d: Tensor) -> None:
        d = d.to(self.dtype)
        self._bias = self._bias + sum_of_squares(d.sum(1))
        self._of_cotangents += grams(d)

    def weight(self) -> Tensor:
        return (self._of_inputs * self._of_cotangents).flatten(1).sum(1).clamp_min(0)

    def bias(self) -> Tensor:
        return self._bias


class _Gradients:
    """From the gradients, with a last feature that is 1 everywhere for the bias."""

    def __init__(self, inputs: Tensor):
        self.dtype = inputs.dtype
        self._inputs = inputs.mT
        self._weight = self._bias = inputs.new_zeros(len(inputs), dtype=torch.float64)

    def add(self, d: Tensor) -> None:
        by_feature = products(self._inputs, d)
        self._weight = self._weight + sum_of_squares(by_feature[:, :-1])
        self._bias = self._bias + sum_of_squares(by_feature[:, -1])

    def weight(self) -> Tensor:
        return self._weight

    def bias(self) -> Tensor:
        return self._bias


class _Columns:
    """The d_t of several outputs side by side: (b, T, outputs times C).

    Args:
        first: (b, T, C), an example of what is put in.
        outputs: how many there are in all; they come in groups of about equal size.
        dtype: of the columns.
    """

    def __init__(self, first: Tensor, outputs: int, dtype: torch.dtype):
        b, T, C = first.shape
        together = ceil(outputs / ceil(outputs * C / _COLUMNS))
        self._columns = first.new_empty(b, T, together * C, dtype=dtype)
        self.filled = 0

    def put(self, d: Tensor) -> bool:
        """Take in one output; whether there is no room for another."""
        start, self.filled = self.filled, self.filled + d.shape[2]
        self._columns[..., start : self.filled] = d
        return self.filled == self._columns.shape[2]

    def taken_out(self) -> Tensor:
        """What was put in since the last time; to be used before the next `put`."""
        filled, self.filled = self.filled, 0
        return self._columns[..., :filled]


def by_position(module: nn.Module, layer_input: Tensor, ones: int = 0) -> Tensor:
    """What the layer's weight is applied to: (n, groups, T, F), the a_t.

    Features of a convolution are ordered (*kernel, channels); see `weight_by_position`.

    Args:
        module: the layer.
        layer_input: its input.
        ones: features more, at the end, that are 1 everywhere, as if they multiplied a bias.
    """
    if isinstance(module, nn.Linear):
        return functional.pad(_rows(layer_input)[:, None], (0, ones), value=1)
    windows = _windows(module, layer_input)
    axes = len(module.kernel_size)
    positions, features = windows.shape[2 : 2 + axes], windows.shape[2 + axes :]
    inputs = windows.new_empty(*windows.shape[:2], prod(positions), prod(features) + ones)
    inputs[..., prod(features) :] = 1
    inputs[..., : prod(features)].unflatten(3, features).unflatten(2, positions).copy_(windows)
    return inputs


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
    """A view of what a convolution sees: (n, groups, *positions, *kernel, channels / groups)."""
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
    channels = windows.movedim(1 + axes, -1).unflatten(-1, (module.groups, -1))
    return channels.movedim(-2, 1)
