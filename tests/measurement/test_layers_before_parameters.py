"""A layer before any parameter has an empty parameter axis; its map is measured like any other."""

import numpy as np
import pytest
import torch
from torch import nn

import flatness
from flatness.storage import read_dataset, write_dataset
from tests.measurement.reference import dense_jacobians


class Standardised(nn.Module):
    """Pixels with the mean and deviation of a training set."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6])[:, None, None])

    def forward(self, x):
        return ((x - self.mean) / 0.25).tanh()


class Beside(nn.Module):
    """The layer asked for stands behind a parameter that does not reach it."""

    def __init__(self):
        super().__init__()
        self.other, self.wanted, self.head = nn.Linear(12, 4), nn.Flatten(), nn.Linear(12, 4)

    def forward(self, x):
        beside = self.other(x.flatten(1))
        return self.head(self.wanted(x)) + beside


class Truncated(nn.Module):
    """What is measured, with a parameter that the dense reference needs."""

    def __init__(self, *layers):
        super().__init__()
        self.layers, self.unused = nn.Sequential(*layers, nn.Flatten()), nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.layers(x)


def _behind(first: nn.Module) -> nn.Module:
    return nn.Sequential(first, nn.Flatten(), nn.LazyLinear(4), nn.Tanh(), nn.Linear(4, 2))


# name: (network, layer, the same map by itself)
BEFORE = {
    "flatten": (lambda: _behind(nn.Flatten()), "0", nn.Flatten()),
    "pooling": (lambda: _behind(nn.MaxPool2d(2)), "0", nn.MaxPool2d(2)),
    "standardised pixels": (lambda: _behind(Standardised()), "0", Standardised()),
    "dropout": (lambda: _behind(nn.Dropout(0.5)), "0", nn.Dropout(0.5)),
    "rectifier in place": (lambda: _behind(nn.ReLU(inplace=True)), "0", nn.ReLU()),
    "normalisation without parameters": (
        lambda: _behind(nn.InstanceNorm2d(3)),
        "0",
        nn.InstanceNorm2d(3),
    ),
    "second of two": (
        lambda: nn.Sequential(nn.Tanh(), nn.Flatten(), nn.Linear(12, 2)),
        "1",
        nn.Tanh(),
    ),
    "beside a parameter": (Beside, "wanted", nn.Flatten()),
}


@pytest.fixture(params=BEFORE)
def case(request):
    build, layer, alone = BEFORE[request.param]
    torch.manual_seed(0)
    model, inputs = build(), torch.randn(3, 3, 2, 2)
    model(inputs)
    truncated = Truncated(alone).double().eval()
    return model.double().eval(), inputs.double(), layer, truncated


@pytest.mark.parametrize("chunk_size", [100, 2])
def test_the_map_is_measured_and_no_parameter(case, chunk_size):
    model, inputs, layer, truncated = case
    measured = flatness.measure(model, inputs, layer=layer, chunk_size=chunk_size)
    assert measured.sizes["parameter"] == 0
    assert measured.sizes["layer"] == 0
    assert measured["parameter_gradient_sq_norm"].shape == (3, 0)
    J, _ = dense_jacobians(truncated, inputs)
    assert np.allclose(measured["singular_value"], torch.linalg.svdvals(J), rtol=1e-10, atol=1e-12)
    assert np.allclose(measured["network_output"], truncated(inputs).detach(), rtol=1e-12)


def test_its_quantities(case):
    model, inputs, layer, truncated = case
    found = flatness.quantities(flatness.measure(model, inputs, layer=layer))
    assert float(found["sharpness"]) == 0
    J, _ = dense_jacobians(truncated, inputs)
    assert np.isclose(found["mls"], torch.linalg.svdvals(J)[:, 0].mean())


def test_it_can_be_stored(case, tmp_path):
    """As the workflow stores it."""
    model, inputs, layer, _ = case
    measured = flatness.measure(model, inputs, layer=layer)
    write_dataset(measured, tmp_path / "layer.nc")
    again = read_dataset(tmp_path / "layer.nc")
    assert again.sizes["parameter"] == 0
    assert float(flatness.quantities(again)["sharpness"]) == 0
