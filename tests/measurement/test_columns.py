"""Cotangents of several outputs side by side: groups that are full, and one that is not."""

import numpy as np
import pytest
import torch
from torch import nn

import flatness
from flatness.measurement import layers
from reference import dense_jacobians

N = 7


class Branches(nn.Module):
    """Some outputs that a convolution has no part in."""

    def __init__(self, convolution: nn.Module):
        super().__init__()
        self.convolution, self.head = convolution, nn.LazyLinear(N - 2)
        self.other = nn.LazyLinear(2)

    def forward(self, x):
        through = torch.tanh(self.convolution(x)).flatten(1)
        return torch.cat([self.other(x.flatten(1)), self.head(through)], 1)


def _in_a_row(convolution: nn.Module) -> nn.Module:
    return nn.Sequential(convolution, nn.Tanh(), nn.Flatten(), nn.LazyLinear(N))


# Groups of 3, 3 and 1 outputs of 48 channels; the second is cheaper by products of positions.
CASES = {
    "gradients": (lambda: nn.Conv2d(8, 48, 3), (8, 12, 12), layers._Gradients),
    "products": (lambda: nn.Conv2d(16, 48, 3), (16, 5, 5), layers._Products),
    "gradients of two groups": (
        lambda: nn.Conv2d(16, 96, 3, groups=2),
        (16, 12, 12),
        layers._Gradients,
    ),
}


@pytest.mark.parametrize("network", [_in_a_row, Branches])
@pytest.mark.parametrize("case", CASES)
def test_norms_are_those_of_dense_jacobians(case, network, monkeypatch):
    construct, shape, way = CASES[case]
    widths = []
    add = way.add
    monkeypatch.setattr(way, "add", lambda self, d: (widths.append(d.shape[2]), add(self, d)))
    torch.manual_seed(0)
    model, inputs = network(construct()), torch.rand(3, *shape)
    model(inputs)
    measured = flatness.measure(model.eval(), inputs)
    assert len(set(widths)) == 2, "no group was left over"
    _, K = dense_jacobians(model, inputs)
    for name, jacobian in K.items():
        exact = jacobian.square().sum((1, 2))
        found = measured["parameter_gradient_sq_norm"].sel(parameter=name)
        assert np.allclose(found, exact, rtol=1e-5), name
