"""Primitives in relation to the size of parameters and inputs, and of layers, densely."""

import numpy as np
import pytest
import torch
from torch import nn

import flatness
from tests.measurement.architectures import ARCHITECTURES, network
from tests.measurement.dense_primitives import (
    adaptive_sq_norms,
    input_times_gradient_sq_norms,
    layer_jacobians,
    log_volume,
)

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
# Relative to the largest, singular values below are those of a lower rank and rounding.
NOISE = 1e-12
SEQUENTIAL = [
    name for name in ARCHITECTURES if isinstance(network(name, torch.float32)[0], nn.Sequential)
]


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradients_in_relation_to_the_size_of_parameters_and_inputs(architecture, dtype):
    model, inputs = network(architecture, dtype)
    measured = flatness.measure(model, inputs)
    expected = adaptive_sq_norms(model, inputs)
    assert list(measured["parameter"].values) == list(expected)
    expected = torch.stack(list(expected.values()), 1).numpy()
    found = measured["parameter_adaptive_sq_norm"].values
    total = expected.sum(1, keepdims=True)
    assert np.all(np.abs(found - expected) <= TOLERANCE[dtype] * total), "relative to their sum"
    expected = input_times_gradient_sq_norms(model, inputs)
    found = measured["input_times_gradient_sq_norm"]
    assert np.allclose(found, expected, rtol=TOLERANCE[dtype], atol=0)


@pytest.mark.parametrize("architecture", SEQUENTIAL)
def test_volumes_and_weights_of_layers(architecture):
    model, inputs = network(architecture, torch.float64)
    measured = flatness.measure(model, inputs)
    assert measured.sizes["layer"] > 0
    for name in measured["layer"].values:
        of_layer = measured.sel(layer=name)
        jacobians = layer_jacobians(model, inputs, name)
        for J, found in zip(jacobians, of_layer["layer_log_volume"].values, strict=True):
            values = torch.linalg.svdvals(J)
            least = NOISE * values[0]
            if len(J) > J.shape[1] or values[-1] > least:
                assert np.isclose(found, log_volume(J), rtol=1e-9), name
            else:  # units that are off: what is lacking in rank is rounding, or zero
                assert found <= values.clamp_min(least).log().sum(), name
        weight = model.get_submodule(name).weight.detach()
        assert of_layer["layer_outputs"] == len(weight)
        assert np.isclose(of_layer["layer_weight_frobenius_norm"], float(weight.norm())), name
