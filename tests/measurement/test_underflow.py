"""Squares that float32 cannot hold are found and taken once more; zeros that are right are not."""

import numpy as np
import pytest
import torch
from torch import nn

from flatness import measure
from flatness.measurement import chunk_terms
from flatness.measurement.frozen import FrozenNetwork
from flatness.measurement.underflow import lacking


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.LayerNorm(27), nn.Linear(27, 4)
    )
    return model.eval()


@pytest.fixture
def dtypes(monkeypatch) -> list[torch.dtype]:
    """The dtypes of squares, in the order of calculation."""
    seen = []
    real = chunk_terms._Passes.__init__

    def noted(self, traced, wanted, budget, dtype):
        seen.append(dtype)
        real(self, traced, wanted, budget, dtype)

    monkeypatch.setattr(chunk_terms._Passes, "__init__", noted)
    return seen


def test_a_head_of_zeros_is_not_differentiated_twice(dtypes):
    model = _network()
    nn.init.zeros_(model[4].weight)
    ds = measure(model, torch.rand(5, 2, 5, 5))
    assert dtypes == [torch.float32]
    by_name = ds.parameter_gradient_sq_norm.to_pandas()
    assert (by_name[["0.weight", "0.bias", "3.weight", "3.bias"]] == 0).all(None)
    assert (by_name["4.bias"] == 4).all()


def test_only_samples_that_lack_terms_are_taken_again(dtypes):
    """A sample that is zero to all units, and one whose derivatives are tiny, beside others."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = nn.Linear(3, 6), nn.Linear(6, 2)

        def forward(self, x):
            return self.head(torch.tanh(self.layer(x))) * x[:, :1]

    torch.manual_seed(0)
    model, inputs = Scaled().eval(), torch.rand(4, 3)
    inputs[1, 0], inputs[2, 0] = 0, 1e-24
    network = FrozenNetwork(model)
    found = measure(model, inputs)
    assert dtypes == [torch.float32, torch.float64]
    exact = measure(model.double(), inputs.double())
    for name in ("parameter_gradient_sq_norm", "layer_output_gradient_sq_norm"):
        assert np.allclose(found[name], exact[name], rtol=1e-5, atol=0), name
    assert (exact.parameter_gradient_sq_norm[1] == 0).all()
    zero = {"layer.weight": torch.tensor([1.0, 0, 0, 1]).double()}
    assert lacking(network, inputs, zero, {}, None).tolist() == [2]


def test_a_zero_is_doubted_where_any_derivative_is_not_zero():
    model, inputs = _network(), torch.rand(3, 2, 5, 5)
    network = FrozenNetwork(model)
    zero, one = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    everything = torch.arange(3).tolist()
    assert lacking(network, inputs, {"0.weight": zero, "3.bias": one}, {}, None).tolist() == (
        everything
    )
    assert lacking(network, inputs, {}, {"4": zero}, None).tolist() == everything
    assert lacking(network, inputs, {}, {}, zero).tolist() == everything
    assert lacking(network, inputs, {"0.weight": one}, {"4": one}, one).tolist() == []
