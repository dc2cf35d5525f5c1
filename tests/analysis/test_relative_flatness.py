"""Relative flatness of the last layer against its definition, with Hessians by autograd."""

import numpy as np
import pytest
import torch
from torch import nn

import flatness


def _network(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double().eval()
    return model, torch.randn(7, 6).double()


def _by_definition(hidden, layer, targets) -> float:
    """sum over s, s' of <w_s, w_s'> Tr H_ss', H the Hessian of Eq. 2 in the layer's weight."""

    def loss(weight):
        outputs = nn.functional.linear(hidden, weight, layer.bias.detach())
        return 0.5 * (outputs - targets).square().sum(1).mean()

    W = layer.weight.detach()
    H = torch.autograd.functional.hessian(loss, W)  # (rows, columns, rows, columns)
    return float(((W @ W.T) * torch.einsum("smtm->st", H)).sum())


@pytest.mark.parametrize("seed", range(3))
def test_it_is_that_of_hessians(seed):
    model, inputs = _network(seed)
    found = flatness.quantities(flatness.measure(model, inputs))["relative_flatness"]
    hidden = model[:2](inputs).detach()
    for targets in (torch.zeros(7, 3).double(), torch.randn(7, 3).double()):
        assert np.isclose(found, _by_definition(hidden, model[2], targets), rtol=1e-10)


def test_of_several_linear_layers_in_a_row_it_is_the_last_one():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3)).double().eval()
    inputs = torch.randn(7, 6).double()
    found = flatness.quantities(flatness.measure(model, inputs))["relative_flatness"]
    hidden, targets = model[0](inputs).detach(), torch.zeros(7, 3).double()
    assert np.isclose(found, _by_definition(hidden, model[1], targets), rtol=1e-10)


def test_rescaling_the_layer_before_does_not_change_it():
    model, inputs = _network()
    before = flatness.quantities(flatness.measure(model, inputs))["relative_flatness"]
    with torch.no_grad():
        model[0].weight *= 5
        model[0].bias *= 5
        model[2].weight /= 5
    after = flatness.quantities(flatness.measure(model, inputs))["relative_flatness"]
    assert np.isclose(after, before, rtol=1e-12)


class AtPositions(nn.Module):
    """The output layer is applied to two parts of the sample."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(3, 2)

    def forward(self, x):
        return self.last(torch.tanh(x).reshape(len(x), 2, 3)).flatten(1)


def test_where_it_is_absent_it_says_why():
    torch.manual_seed(0)
    positions = AtPositions().double().eval()
    inputs = torch.randn(4, 6).double()
    model, _ = _network()
    measured = flatness.measure(model, inputs)
    without = measured.copy()
    without["layer_weight_frobenius_norm"].attrs = {"absent": "a softmax comes last"}
    for primitives, reason in (
        (
            flatness.measure(positions, inputs),
            "Eq. 4 does not hold for the output layer last",
        ),
        (without, "a softmax comes last"),
        (
            measured.drop_vars("layer_weight_frobenius_norm"),
            "not measured by the version that made the measurements",
        ),
    ):
        found = flatness.quantities(primitives)["relative_flatness"]
        assert np.isnan(found)
        assert found.attrs["absent"] == reason
