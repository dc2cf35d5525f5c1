"""Adaptive sharpness: its definition, and that no rescaling of units with ReLU changes it."""

import numpy as np
import pytest
import torch
from torch import nn

import flatness
from flatness.analysis.bounds import sample_bounds
from tests.measurement.reference import dense_jacobians

UNCHANGED = (
    "adaptive_sharpness",
    "sqrt_adaptive_sharpness",
    "mean_input_gradient_sq_norm",
    "log_volume",
)


def test_it_is_the_mean_of_dense_jacobians_times_parameters():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double().eval()
    inputs = torch.randn(5, 6).double()
    _, K = dense_jacobians(model, inputs)
    every = torch.cat(list(K.values()), dim=2)
    theta = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    expected = float((every @ torch.diag(theta)).square().sum((1, 2)).mean())
    found = flatness.quantities(flatness.measure(model, inputs))
    assert np.isclose(found["adaptive_sharpness"], expected, rtol=1e-10)
    assert np.isclose(found["sqrt_adaptive_sharpness"], np.sqrt(expected), rtol=1e-10)


def test_a_linear_function_of_one_number():
    """f(x) = w x + b: mean (w x)^2 + b^2, here 9 mean x^2 + 4."""
    model = nn.Linear(1, 1).double().eval()
    with torch.no_grad():
        model.weight.fill_(3)
        model.bias.fill_(-2)
    inputs = torch.tensor([[1.0], [2.0], [-1.0]]).double()
    found = flatness.quantities(flatness.measure(model, inputs))
    assert np.isclose(found["adaptive_sharpness"], 9 * 2 + 4, rtol=1e-14)


@pytest.mark.parametrize("seed", range(8))
def test_rescaling_a_unit_changes_the_sharpness_and_nothing_adaptive(seed):
    """One unit with ReLU: incoming weights and bias times c, outgoing weights over c."""
    draw = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    layers = [nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 3)]
    model = nn.Sequential(*layers).double().eval()
    inputs = torch.randn(5, 6).double()
    position = 2 * int(torch.randint(2, (), generator=draw))
    unit = int(torch.randint(layers[position].out_features, (), generator=draw))
    scale = 10 ** float(1 + 2 * torch.rand((), generator=draw))  # 10 to 1000
    with torch.no_grad():
        layers[position].bias[unit] = 1.0  # on for some samples
    before = flatness.measure(model, inputs)
    with torch.no_grad():
        layers[position].weight[unit] *= scale
        layers[position].bias[unit] *= scale
        layers[position + 2].weight[:, unit] /= scale
    after = flatness.measure(model, inputs)
    of = [flatness.quantities(each) for each in (before, after)]
    for name in UNCHANGED:
        assert np.isclose(of[1][name], of[0][name], rtol=1e-10), name
    assert of[1]["sharpness"] > 1.5 * of[0]["sharpness"]
    for found in (flatness.bounds, sample_bounds):
        sides = [
            found(each).sel(inequality="adaptive")[["log10_left", "log10_right"]].to_dataarray()
            for each in (before, after)
        ]
        assert np.allclose(*sides, rtol=0, atol=1e-10)


def test_measurements_that_lack_it_say_so():
    model, inputs = nn.Linear(4, 2).double().eval(), torch.randn(3, 4).double()
    older = flatness.measure(model, inputs).drop_vars("parameter_adaptive_sq_norm")
    found = flatness.quantities(older)
    for name in ("adaptive_sharpness", "sqrt_adaptive_sharpness"):
        assert np.isnan(found[name])
        assert found[name].attrs["absent"] == (
            "not measured by the version that made the measurements"
        )
