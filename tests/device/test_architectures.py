"""`measure` and `curvature` on a device find what they find on the CPU, for every architecture."""

import pytest
import torch

import flatness
from tests.device.agreement import assert_agree
from tests.measurement.architectures import ARCHITECTURES, network

# Beside float32; in float64 singular values are found in another way.
IN_FLOAT64 = ("more-outputs-than-inputs", "mlp-tanh", "strided-convolution", "layer-norm", "lstm")

# The GPU kernel of weight normalisation takes the root of its squared norm in float32, whatever the
# dtype, as torch 2.11 on an H200 shows: 2e-7.
COARSER = {"weight-normalised": 1e-6}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, torch.float32) for name in ARCHITECTURES),
        *((name, torch.float64) for name in IN_FLOAT64),
    ],
)
def test_measuring(device, name, dtype):
    model, inputs = network(name, dtype)
    expected = flatness.measure(model, inputs)
    found = flatness.measure(model.to(device), inputs.to(device))
    assert_agree(found, expected, dtype)


@pytest.mark.parametrize("name", ["mlp-tanh", "shared-weights"])
def test_measuring_in_several_rounds(device, name):
    """Columns of Jacobians that do not fit into memory together."""
    model, inputs = network(name, torch.float32)
    how = {"chunk_size": 2, "memory_gib": 2e-7}
    expected = flatness.measure(model, inputs, **how)
    assert_agree(
        flatness.measure(model.to(device), inputs.to(device), **how), expected, inputs.dtype
    )


def _targets(inputs, outputs=4):
    draw = torch.Generator().manual_seed(5)
    return torch.randn(len(inputs), outputs, generator=draw).to(inputs)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_curvature_by_random_probes(device, name, has_gpu):
    if has_gpu and name == "sorted-samples":
        pytest.skip("parameters of its layers are probed one by one on a GPU: other estimates")
    model, inputs = network(name, torch.float64)
    inputs, how = inputs[:2], {"probes": 2, "exact_products": 0}
    expected = flatness.curvature(model, inputs, _targets(inputs), **how)
    model, inputs = model.to(device), inputs.to(device)
    assert_agree(
        flatness.curvature(model, inputs, _targets(inputs), **how),
        expected,
        torch.float64,
        COARSER.get(name) if has_gpu else None,
    )


@pytest.mark.parametrize("name", ["mlp-tanh", "sorted-samples", "weight-normalised"])
def test_exact_curvature(device, name, has_gpu):
    model, inputs = network(name, torch.float64)
    inputs, how = inputs[:2], {"exact_products": 10**6}
    expected = flatness.curvature(model, inputs, _targets(inputs), **how)
    model, inputs = model.to(device), inputs.to(device)
    assert_agree(
        flatness.curvature(model, inputs, _targets(inputs), **how),
        expected,
        torch.float64,
        COARSER.get(name) if has_gpu else None,
    )


def test_parameters_without_closed_form_are_measured_where_they_are(device):
    """One sample and output at a time, beside others that have one."""
    model, inputs = network("shared-weights", torch.float32)
    found = flatness.measure(model.to(device), inputs.to(device))
    assert "tied.weight" in found["parameter"]
    assert found["parameter_gradient_sq_norm"].notnull().all()


def test_a_model_and_inputs_on_two_devices_are_refused(device):
    model, inputs = network("mlp-tanh", torch.float32)
    with pytest.raises(flatness.errors.MeasurementError, match="one device for all"):
        flatness.measure(model.to(device), inputs)
