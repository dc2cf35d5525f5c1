"""Volume ratios of the maps from each layer's input to the output."""

import numpy as np
import pytest
import torch
from torch import nn

import flatness
from tests.measurement.architectures import network


def _sequence(seed=0):
    torch.manual_seed(seed)
    layers = [nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 7), nn.Tanh(), nn.Linear(7, 3)]
    return nn.Sequential(*layers).double().eval(), torch.randn(5, 6).double()


def test_they_are_half_the_log_determinants_of_the_rest_of_the_network():
    model, inputs = _sequence()
    found = flatness.quantities(flatness.measure(model, inputs))
    total = 0
    for position in (0, 2, 4):
        logs = []
        for x in model[:position](inputs).detach():
            J = torch.autograd.functional.jacobian(model[position:], x)
            logs.append(0.5 * float(torch.linalg.slogdet(J @ J.T)[1]))
        of_layer = found["layer_mean_log_volume"].sel(layer=str(position))
        assert np.isclose(of_layer, np.mean(logs), rtol=1e-10)
        total += np.mean(logs)
    assert np.isclose(found["nvr"], total, rtol=1e-10)
    # The first layer reads the inputs.
    assert np.isclose(found["layer_mean_log_volume"][0], found["log_volume"], rtol=1e-10)


def test_a_layer_narrower_than_the_output_has_no_volume():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 2), nn.Tanh(), nn.Linear(2, 3)).double().eval()
    found = flatness.quantities(flatness.measure(model, torch.randn(5, 6).double()))
    assert found["layer_mean_log_volume"].sel(layer="2") == -np.inf
    assert found["nvr"] == -np.inf


@pytest.mark.parametrize("architecture", ["attention", "lstm", "shared-weights", "mlp-tanh"])
def test_the_sum_is_absent_where_that_of_the_sensitivities_is(architecture):
    model, inputs = network(architecture, torch.float64)
    found = flatness.quantities(flatness.measure(model, inputs))
    assert found["nvr"].attrs.get("absent") == found["nmls"].attrs.get("absent")
    left_out = architecture in ("lstm", "shared-weights")
    assert np.isnan(found["nvr"]) == np.isnan(found["nmls"]) == left_out


def test_measurements_that_lack_them_say_so():
    model, inputs = _sequence()
    found = flatness.quantities(flatness.measure(model, inputs).drop_vars("layer_log_volume"))
    reason = "not measured by the version that made the measurements"
    for name in ("nvr", "layer_mean_log_volume"):
        assert found[name].isnull().all()
        assert found[name].attrs["absent"] == reason
    assert found["layer_mean_log_volume"].dims == ("layer",)
