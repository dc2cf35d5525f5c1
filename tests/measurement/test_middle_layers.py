"""The output of a middle layer is measured like that of the truncated network."""

import re
import subprocess
import sys

import pytest
import torch
import xarray as xr
from torch import nn

import flatness
from flatness.errors import MeasurementError
from tests.measurement.architectures import network


@pytest.mark.parametrize(
    ("architecture", "layers"),
    [
        ("mlp-tanh", ["0", "1", "2", "3", "4"]),
        ("mlp-relu-in-place", ["0", "2"]),
        ("vgg10-8x8", ["12", "15", "16", "17", "18"]),
        ("strided-convolution", ["0", "1"]),
        ("layer-norm", ["1", "2"]),
        ("linear-at-positions", ["0", "1", "2"]),
    ],
)
def test_equal_to_the_truncated_network(architecture, layers):
    model, inputs = network(architecture, torch.float64)
    for layer in layers:
        truncated = nn.Sequential(*model[: int(layer) + 1], nn.Flatten()).eval()
        expected = flatness.measure(truncated, inputs)
        measured = flatness.measure(model, inputs, layer=layer)
        assert measured.attrs.pop("layer") == layer
        xr.testing.assert_allclose(measured, expected, rtol=1e-9)
        assert (
            measured["layer_operator_norm"].attrs.items()
            >= expected["layer_operator_norm"].attrs.items()
        )
        quantities = flatness.quantities(measured)
        xr.testing.assert_allclose(quantities, flatness.quantities(expected), rtol=1e-9)


def test_the_last_layer_is_the_network():
    model, inputs = network("mlp-tanh", torch.float64)
    whole = flatness.measure(model, inputs)
    xr.testing.assert_allclose(flatness.measure(model, inputs, layer="4"), whole, rtol=1e-12)


def test_a_block_inside_a_network():
    """Modules that are no layers can be asked for, too."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Sequential(nn.Linear(6, 5), nn.Tanh()), nn.Linear(5, 2)).eval()
    inputs = torch.randn(4, 6)
    measured = flatness.measure(model, inputs, layer="0")
    assert list(measured["parameter"].values) == ["0.0.weight", "0.0.bias"]
    xr.testing.assert_allclose(
        measured["singular_value"], flatness.measure(model[0], inputs)["singular_value"], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("architecture", "layer", "message"),
    [
        ("mlp-tanh", "nine", r"layer = 'nine' is no module of the network\. Allowed: '0', '1'"),
        ("shared-weights", "inner", r"layer = 'inner' is called 2 times"),
        ("lstm", "0", r"layer = '0': returned a tuple with 0 "),
        ("unused-layers", "idle", r"layer = 'idle' is called 0 times"),
    ],
)
def test_refused(architecture, layer, message):
    model, inputs = network(architecture, torch.float32)
    with pytest.raises(MeasurementError, match=message):
        flatness.measure(model, inputs, layer=layer)


def test_a_wide_layer_stays_within_two_gibibytes():
    """500 units on 784 inputs with 100 samples, in a process of its own."""
    script = """
import resource, torch, flatness
from flatness.experiment.networks import build
torch.set_num_threads(1)
model = build({"name": "mlp"}, (784,), 10, 0).eval()
measured = flatness.measure(model, torch.rand(100, 784), layer="3")
assert measured.sizes["mode"] == 500
print("peak in MiB:", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    peak = int(re.search(r"peak in MiB: (\d+)", result.stdout)[1])
    print(f"a 500-unit layer, 784 inputs, 100 samples: {peak} MiB at most")
    assert peak < 2048
