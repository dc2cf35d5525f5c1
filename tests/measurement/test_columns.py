"""Closed forms of weights, both ways, with cotangents one by one and side by side."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import flatness
from flatness.measurement import weight_forms
from tests.measurement.reference import dense_jacobians

N = 7


class _Joined(torch.autograd.Function):
    """Side by side; who has no part in a derivative is not given zeros but nothing."""

    @staticmethod
    def forward(ctx, one, other):
        ctx.sizes = one.shape[1], other.shape[1]
        return torch.cat([one, other], 1)

    @staticmethod
    def backward(ctx, gradient):
        return tuple(part if part.any() else None for part in gradient.split(ctx.sizes, 1))


class Branches(nn.Module):
    """Some outputs that a layer has no part in."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer, self.head = layer, nn.LazyLinear(N - 2)
        self.other = nn.LazyLinear(2)

    def join(self, one, other):
        return torch.cat([one, other], 1)

    def forward(self, x):
        through = torch.tanh(self.layer(x)).flatten(1)
        return self.join(self.other(x.flatten(1)), self.head(through))


class Apart(Branches):
    """Its cotangents do not even come as zeros."""

    def join(self, one, other):
        return _Joined.apply(one, other)


class Repeated(nn.Module):
    """One layer three times: twice in a row, and once at other positions."""

    def __init__(self, layer: nn.Module, fewer: Callable[[Tensor], Tensor]):
        super().__init__()
        self.layer, self.fewer, self.head = layer, fewer, nn.LazyLinear(N)

    def forward(self, x):
        twice = torch.tanh(self.layer(torch.tanh(self.layer(x))))
        once = self.layer(self.fewer(x))
        return self.head(torch.cat([twice.flatten(1), once.flatten(1)], 1))


def _in_a_row(layer: nn.Module) -> nn.Module:
    return nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.LazyLinear(N))


def _initialised(
    model: nn.Module, shape: tuple[int, ...], dtype: torch.dtype
) -> tuple[nn.Module, Tensor]:
    inputs = torch.randn(3, *shape)
    model(inputs)
    return model.to(dtype).eval(), inputs.to(dtype)


def _assert_as_dense(model: nn.Module, inputs: Tensor, rtol: float) -> None:
    measured = flatness.measure(model, inputs)
    _, K = dense_jacobians(model, inputs)
    for name, parameter in model.named_parameters():
        relative = K[name] * parameter.detach().double().flatten()
        for term, expected in (("gradient", K[name]), ("adaptive", relative)):
            found = measured[f"parameter_{term}_sq_norm"].sel(parameter=name)
            assert np.allclose(found, expected.square().sum((1, 2)), rtol=rtol), (name, term)


@pytest.fixture
def outputs_at_once(monkeypatch) -> dict[type, list[int]]:
    """How many outputs each way is given at once, in the order of calls."""
    seen: dict[type, list[int]] = {}
    for way in (weight_forms._Gradients, weight_forms._OnePosition, weight_forms._Pairs):
        seen[way] = []

        def add(self, d, outputs, way=way, real=way.add):
            seen[way].append(outputs)
            real(self, d, outputs)

        monkeypatch.setattr(way, "add", add)
    return seen


# How it is built, the shape of a sample, and the channels of its output per group.
CASES = {
    "one position": (lambda: _in_a_row(nn.Linear(6, 4)), (6,), 4),
    "positions": (lambda: _in_a_row(nn.Linear(6, 4)), (5, 6), 4),
    "convolution": (lambda: _in_a_row(nn.Conv2d(2, 3, 3, padding=1)), (2, 5, 4), 3),
    "without bias": (lambda: _in_a_row(nn.Conv1d(2, 3, 3, bias=False)), (2, 7), 3),
    "groups": (lambda: _in_a_row(nn.Conv2d(4, 6, 3, 2, groups=2)), (4, 7, 6), 3),
    "no part in some outputs": (lambda: Branches(nn.Conv1d(2, 3, 3)), (2, 7), 3),
    "no cotangents of some outputs": (lambda: Apart(nn.Conv1d(2, 3, 3)), (2, 7), 3),
    "several times": (lambda: Repeated(nn.Linear(6, 6), lambda x: x[:, 0]), (4, 6), 6),
    "convolution several times": (
        lambda: Repeated(nn.Conv2d(4, 4, 3, padding=1, groups=2), lambda x: x[..., :2]),
        (4, 5, 4),
        2,
    ),
}


@pytest.mark.parametrize(
    ("way", "together"),
    [
        *((weight_forms._Gradients, together) for together in (1, 3, N)),
        (weight_forms._Pairs, 1),
    ],
)
@pytest.mark.parametrize("case", CASES)
def test_each_way_gives_the_norms_of_dense_gradients(
    case, way, together, outputs_at_once, monkeypatch
):
    """With as many outputs side by side; what is left over makes a group of its own."""
    construct, shape, channels = CASES[case]
    monkeypatch.setattr(weight_forms, "_way", lambda *_: way)
    monkeypatch.setattr(weight_forms, "_FEATURES", 0)
    monkeypatch.setattr(weight_forms, "_COLUMNS", together * channels)
    torch.manual_seed(0)
    _assert_as_dense(*_initialised(construct(), shape, torch.float64), 1e-10)
    assert not any(outputs_at_once[other] for other in {*outputs_at_once} - {way})
    # Where cotangents of two outputs do not come, five are left.
    assert (
        min(together, 5 if case == "no cotangents of some outputs" else N) in (outputs_at_once[way])
    )


# Groups of 2, 2, 2 and 1 outputs of 48 channels; the second is cheaper by pairs of positions.
CHOSEN = {
    "gradients": (lambda: nn.Conv2d(8, 48, 3), (8, 12, 12), [2, 2, 2, 1]),
    "pairs": (lambda: nn.Conv2d(16, 48, 3), (16, 5, 5), []),
    "gradients of two groups": (
        lambda: nn.Conv2d(16, 96, 3, groups=2),
        (16, 12, 12),
        [2, 2, 2, 1],
    ),
}


@pytest.mark.parametrize("network", [_in_a_row, Branches, Apart])
@pytest.mark.parametrize("case", CHOSEN)
def test_the_way_that_is_chosen_gives_the_norms_of_dense_gradients(case, network, outputs_at_once):
    construct, shape, expected = CHOSEN[case]
    if network is Apart and expected:
        expected = [2, 2, 1]
    torch.manual_seed(0)
    model, inputs = _initialised(network(construct()), shape, torch.float32)
    _assert_as_dense(model, inputs, 1e-5)
    # The proof takes a single output.
    assert outputs_at_once[weight_forms._Gradients] == ([1, *expected] if expected else [])
    assert bool(outputs_at_once[weight_forms._Pairs]) == (case == "pairs")


@pytest.mark.parametrize(
    ("construct", "shape"),
    [
        (lambda: nn.Linear(6, 4), (6,)),
        (lambda: nn.Linear(6, 4, bias=False), (6,)),
        (lambda: nn.Conv2d(4, 6, 3, groups=2), (4, 3, 3)),
    ],
)
def test_one_position_gives_the_norms_of_dense_gradients(construct, shape, outputs_at_once):
    torch.manual_seed(0)
    model, inputs = _initialised(_in_a_row(construct()), shape, torch.float64)
    _assert_as_dense(model, inputs, 1e-10)
    assert outputs_at_once[weight_forms._OnePosition]
    assert not outputs_at_once[weight_forms._Gradients] + outputs_at_once[weight_forms._Pairs]
