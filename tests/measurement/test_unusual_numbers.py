"""Complex numbers and integers are refused with advice that works, before anything is cast."""

import pytest
import torch
from torch import nn

import flatness
from flatness.errors import MeasurementError
from tests.measurement.comparison import assert_as_dense


class Fourier(nn.Module):
    """Multiplies frequencies by a tensor that is given a name."""

    def __init__(self, register):
        super().__init__()
        register(self, torch.randn(4, dtype=torch.complex64))
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(torch.fft.irfft(torch.fft.rfft(x) * self.w, n=6))


def _parameter(module, values):
    module.w = nn.Parameter(values)


def _buffer(module, values):
    module.register_buffer("w", values)


class WithInteger(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 2)
        self.count = nn.Parameter(torch.tensor([1]), requires_grad=False)

    def forward(self, x):
        return self.head(x)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 4), nn.Linear(4, 2)

    def forward(self, tokens):
        return self.head(self.embedding(tokens).mean(1))


X = torch.ones(4, 6)
REFUSED = {
    "complex parameter": (Fourier(_parameter), X, r"parameter 'w' is torch\.complex64\. Allowed: "),
    "complex parameter and double inputs": (
        Fourier(_parameter).double(),
        X.double(),
        r"parameter 'w' is torch\.complex64\. .*view_as_real.*view_as_complex",
    ),
    "complex inputs": (nn.Linear(6, 2), X.cfloat(), r"^inputs: torch\.complex64\. .*view_as_real"),
    "integer parameter": (WithInteger(), X, r"'count' is torch\.int64, .*Register it as a buffer"),
    "tokens": (Tokens(), torch.ones(4, 5).long(), r"^inputs: torch\.int64, .*start='embedding'"),
    "short tokens": (
        Tokens(),
        torch.ones(4, 5).int(),
        r"^inputs: torch\.int32, .*start='embedding'",
    ),
    "pixels": (nn.Linear(6, 2), X.byte(), r"^inputs: torch\.uint8, .*pixels, with \.to\("),
    "truth values": (nn.Linear(6, 2), X.bool(), r"^inputs: torch\.bool, "),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_measure_and_curvature(case):
    model, inputs, message = REFUSED[case]
    model.eval()
    for call in (
        lambda: flatness.measure(model, inputs),
        lambda: flatness.curvature(model, inputs, torch.ones(4, 2)),
    ):
        with pytest.raises(MeasurementError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
        assert "Allowed: " in str(caught.value)


def test_a_complex_buffer_is_a_constant():
    """It is cast by nobody, and has no derivative that is asked for."""
    torch.manual_seed(0)
    assert_as_dense(Fourier(_buffer), torch.randn(4, 6))


@pytest.mark.parametrize("what", [torch.tanh, lambda x: x, nn.Linear, nn.Linear(6, 2).state_dict()])
def test_what_is_no_module(what):
    for call in (
        lambda: flatness.measure(what, X),
        lambda: flatness.curvature(what, X, torch.ones(4, 2)),
    ):
        with pytest.raises(MeasurementError, match=r"^model: a \w+\. Allowed: a torch\.nn\.Module"):
            call()
