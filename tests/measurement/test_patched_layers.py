"""Layers that no longer compute what their class computes.

A closed form of the class would give other numbers; autograd knows what was computed.
"""

import types

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.measurement.comparison import assert_as_dense


class Through(nn.Module):
    """A function between two layers."""

    def __init__(self, function):
        super().__init__()
        self.function, self.first, self.head = function, nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.function(self.first(x))))


def _mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))


def _image(convolution: nn.Module) -> nn.Sequential:
    return nn.Sequential(
        convolution, nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.LazyLinear(2)
    )


def _with_method(layer: nn.Module, name: str, function) -> nn.Module:
    setattr(layer, name, types.MethodType(function, layer))
    return layer


def _circular_to_the_sides(self, x, weight, bias):
    """As for panoramas."""
    x = functional.pad(functional.pad(x, (1, 1, 0, 0), mode="circular"), (0, 0, 1, 1))
    return functional.conv2d(x, weight, bias)


def _standardised(self, x, weight, bias):
    mean, std = weight.mean((1, 2, 3), keepdim=True), weight.std((1, 2, 3), keepdim=True)
    return functional.conv2d(x, (weight - mean) / std, bias, padding=1)


class Equalised(nn.Linear):
    """A subclass that scales its weight while it runs."""

    def forward(self, x):
        return functional.linear(x, self.weight * 0.5, self.bias)


class Modulated(nn.Linear):
    """Each sample scales the weight in its own way."""

    def forward(self, x):
        weights = self.weight * (1 + (x[:, :1, None] > 0))
        return torch.einsum("noi,ni->no", weights, x) + self.bias


class Quantised(nn.Linear):
    """A straight-through estimator on the weight."""

    def forward(self, x):
        rounded = self.weight + (self.weight.mul(8).round() / 8 - self.weight).detach()
        return functional.linear(x, rounded, self.bias)


class Masked(nn.Conv2d):
    """A causal convolution."""

    def forward(self, x):
        mask = torch.ones_like(self.weight)
        mask[:, :, 1, 2:] = 0
        mask[:, :, 2] = 0
        return functional.conv2d(x, self.weight * mask, self.bias, padding=1)


def _scaled_gradient(z):
    z.register_hook(lambda gradient: 0.5 * gradient)
    return z


def _clipped_gradient(z):
    z.register_hook(lambda gradient: gradient.clamp(-0.1, 0.1))
    return z


def _scaled_gradient_of_some_samples(z):
    scale = 1 + (z[:, :1].detach() > 0)
    z.register_hook(lambda gradient: scale * gradient)
    return z


def _of_a_hidden_tensor(z):
    hidden = 3 * z
    hidden.register_hook(lambda gradient: 0.25 * gradient)
    return hidden + z


class Reversed(torch.autograd.Function):
    """The gradient comes back with the other sign and another size."""

    @staticmethod
    def forward(ctx, z):
        return z.view_as(z)

    @staticmethod
    def backward(ctx, gradient):
        return -0.3 * gradient


class OwnLinear(torch.autograd.Function):
    """A linear map whose weight gradient is scaled."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight.mT

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        return gradient @ weight, 2 * gradient.mT @ x


def _own_linear():
    model = _mlp()
    model[0].bias = None
    return _replaced(model, lambda self, x: OwnLinear.apply(x, self.weight))


def _replaced(model, forward):
    _with_method(model[0], "forward", forward)
    return model


def _forward_hook():
    model = _mlp()
    model[0].register_forward_hook(lambda module, arguments, output: output.sin())
    return model


def _forward_pre_hook():
    model = _mlp()
    model[0].register_forward_pre_hook(lambda module, arguments: (arguments[0].sin(),))
    return model


def _backward_hook():
    model = _mlp()
    model[0].register_full_backward_hook(lambda module, into, out_of: tuple(0.5 * g for g in into))
    return model


def _backward_hook_behind():
    model = _mlp()
    model[1].register_full_backward_hook(lambda module, into, out_of: tuple(2 * g for g in into))
    return model


def _backward_pre_hook():
    model = _mlp()
    model[0].register_full_backward_pre_hook(lambda module, out_of: tuple(0.5 * g for g in out_of))
    return model


def _hook_on_the_input():
    def scale(module, arguments):
        arguments[0].register_hook(lambda gradient: 4 * gradient)

    model = _mlp()
    model[2].register_forward_pre_hook(scale)
    return model


def _other_class():
    model = _mlp()
    model[0].__class__ = Equalised
    return model


IMAGE, ROW = (3, 6, 6), (6,)

# name: (network, shape of one sample)
PATCHED = {
    "_conv_forward of an instance": (
        lambda: _image(
            _with_method(nn.Conv2d(3, 4, 3, padding=1), "_conv_forward", _circular_to_the_sides)
        ),
        IMAGE,
    ),
    "standardised weight": (
        lambda: _image(_with_method(nn.Conv2d(3, 4, 3), "_conv_forward", _standardised)),
        IMAGE,
    ),
    "forward of an instance": (
        lambda: _replaced(_mlp(), lambda self, x: functional.linear(x, self.weight, 2 * self.bias)),
        ROW,
    ),
    "forward that computes the same otherwise": (
        lambda: _replaced(_mlp(), lambda self, x: x @ self.weight.mT + self.bias),
        ROW,
    ),
    "forward that scales each sample": (
        lambda: _replaced(
            _mlp(), lambda self, x: functional.linear(x, self.weight) * (1 + (x[:, :1] > 0))
        ),
        ROW,
    ),
    "class of an instance": (_other_class, ROW),
    "subclass with a scaled weight": (
        lambda: nn.Sequential(Equalised(6, 5), nn.Tanh(), nn.Linear(5, 2)),
        ROW,
    ),
    "weight modulated by each sample": (
        lambda: nn.Sequential(Modulated(6, 5), nn.Tanh(), nn.Linear(5, 2)),
        ROW,
    ),
    "straight-through weight": (
        lambda: nn.Sequential(Quantised(6, 5), nn.Tanh(), nn.Linear(5, 2)),
        ROW,
    ),
    "masked convolution": (lambda: _image(Masked(3, 4, 3)), IMAGE),
    "gradient scaled at an output": (lambda: Through(_scaled_gradient), ROW),
    "gradient clipped at an output": (lambda: Through(_clipped_gradient), ROW),
    "gradient of some samples scaled": (lambda: Through(_scaled_gradient_of_some_samples), ROW),
    "gradient scaled on one of two ways": (lambda: Through(_of_a_hidden_tensor), ROW),
    "gradient reversed by a function": (lambda: Through(Reversed.apply), ROW),
    "own linear function": (_own_linear, ROW),
    "forward hook": (_forward_hook, ROW),
    "forward pre-hook": (_forward_pre_hook, ROW),
    "module backward hook": (_backward_hook, ROW),
    "module backward hook behind a layer": (_backward_hook_behind, ROW),
    "module backward pre-hook": (_backward_pre_hook, ROW),
    "tensor hook on a layer's input": (_hook_on_the_input, ROW),
}


@pytest.mark.parametrize("case", PATCHED)
def test_measured_as_autograd_differentiates_it(case):
    build, shape = PATCHED[case]
    torch.manual_seed(0)
    model, inputs = build(), torch.randn(4, *shape)
    model(inputs)  # the head takes its shape
    assert_as_dense(model, inputs)


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x: functional.linear(x, self.weight * 0.5, self.bias),
        lambda self, x: functional.linear(x, self.weight, self.bias).mul_(2),
        lambda self, x: functional.linear(x.sin(), self.weight, self.bias),
    ],
    ids=["scaled weight", "scaled output", "changed input"],
)
def test_a_class_patched_for_all(monkeypatch, forward):
    monkeypatch.setattr(nn.Linear, "forward", forward)
    torch.manual_seed(0)
    assert_as_dense(_mlp(), torch.randn(4, 6))


def test_a_functional_patched_for_all(monkeypatch):
    """As tools that count or quantise do."""
    linear = functional.linear
    monkeypatch.setattr(functional, "linear", lambda x, w, b=None: linear(x, w * 0.5, b))
    torch.manual_seed(0)
    assert_as_dense(_mlp(), torch.randn(4, 6))


def test_convolutions_patched_in_their_class(monkeypatch):
    """Tiling textures, as image generators patch it."""

    def tiled(self, x, weight, bias):
        return functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="circular"), weight, bias)

    monkeypatch.setattr(nn.Conv2d, "_conv_forward", tiled)
    torch.manual_seed(0)
    model, inputs = _image(nn.Conv2d(3, 4, 3, padding=1)), torch.randn(3, *IMAGE)
    model(inputs)
    assert_as_dense(model, inputs)


def test_a_hook_on_all_modules():
    def halve(module, arguments, output):
        return output * 0.5 if isinstance(module, nn.Linear) else None

    torch.manual_seed(0)
    handle = torch.nn.modules.module.register_module_forward_hook(halve)
    try:
        assert_as_dense(_mlp(), torch.randn(4, 6))
    finally:
        handle.remove()
