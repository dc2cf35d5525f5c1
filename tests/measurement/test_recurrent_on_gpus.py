"""cuDNN's recurrent layers have no derivative in eval mode; what is switched off, and when."""

import pytest
import torch
from torch import nn

import flatness
from flatness.measurement import unchanged
from flatness.measurement.unchanged import full_float32_of_gpus


@pytest.fixture
def cudnn():
    """`torch.backends.cudnn`, whose settings are put back."""
    cudnn = torch.backends.cudnn
    before = cudnn.enabled, cudnn.rnn.fp32_precision, cudnn.conv.fp32_precision
    yield cudnn
    cudnn.enabled, cudnn.rnn.fp32_precision, cudnn.conv.fp32_precision = before


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_do_without_cudnn(cudnn, layer):
    cudnn.enabled = True
    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(layer(3, 4)))
    with full_float32_of_gpus(model):
        assert not cudnn.enabled
    assert cudnn.enabled


def test_other_networks_keep_it(cudnn):
    cudnn.enabled = True
    with full_float32_of_gpus(nn.Conv2d(1, 2, 3)):
        assert cudnn.enabled


def test_precisions_are_full_and_put_back(cudnn):
    cudnn.rnn.fp32_precision, cudnn.conv.fp32_precision = "tf32", "tf32"
    seen = []

    def fail():
        with full_float32_of_gpus(nn.LSTM(3, 4)):
            seen.extend([cudnn.rnn.fp32_precision, cudnn.conv.fp32_precision])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen == ["ieee", "ieee"]
    assert cudnn.rnn.fp32_precision == cudnn.conv.fp32_precision == "tf32"


@pytest.mark.parametrize("what", ["measure", "curvature"])
def test_it_is_used_for_what_is_measured(monkeypatch, what):
    """On a GPU; here the device only says that it is one."""
    seen = []
    monkeypatch.setattr(unchanged, "full_float32_of_gpus", lambda model: seen.append(model))
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).eval()
    inputs = torch.randn(4, 2)
    if what == "measure":
        flatness.measure(model, inputs)
    else:
        flatness.curvature(model, inputs, torch.randn(4, 2))
    assert seen == []
    with pytest.raises(TypeError, match="context manager"):
        unchanged.exact_arithmetic(torch.device("cuda"), model).__enter__()
    assert seen == [model]
