"""Networks that change their input in place are measured, and the caller's inputs stay."""

import pytest
import torch
from torch import nn

import flatness
from tests.measurement.comparison import assert_as_dense
from tests.measurement.reference import dense_hessian_trace


class Prepared(nn.Module):
    """Preprocessing, a layer, something without a layer's closed form, and a head."""

    def __init__(self, prepare, middle):
        super().__init__()
        self.prepare, self.middle = prepare, middle
        self.first, self.head = nn.Linear(6, 5), nn.Linear(5, 2)
        self.shift = nn.Parameter(torch.randn(6))

    def forward(self, x):
        return self.head(torch.tanh(self.middle(self.first(self.prepare(self, x)))))


class Gain(nn.Module):
    """A parameter of no known layer."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.randn(5))

    def forward(self, z):
        return torch.sinh(z * self.gain)


def _first_column(_model, x):
    x[:, 0] = 0
    return x


def _scaled_view(_model, x):
    x.view(-1, 2, 3)[:, 1].mul_(2)
    return x


def _squared_columns(_model, x):
    x[:, 1:3].pow_(2)
    return x


PREPARED = {
    "normalised": lambda model, x: x.sub_(0.5).div_(0.25),
    "rectified": lambda model, x: torch.relu_(x),
    "rectified by a module": lambda model, x: nn.ReLU(inplace=True)(x),
    "shifted by a parameter": lambda model, x: x.add_(model.shift),
    "scaled by a parameter": lambda model, x: x.mul_(model.shift).sin_(),
    "clamped": lambda model, x: x.clamp_(-1, 1),
    "one column set": _first_column,
    "a view scaled": _scaled_view,
    "columns squared": _squared_columns,
    "axes exchanged in place": lambda model, x: x.unsqueeze_(1).squeeze_(1).mul_(2),
}
MIDDLES = {
    "nothing": nn.Identity,
    "batch normalisation": lambda: nn.BatchNorm1d(5),
    "layer normalisation": lambda: nn.LayerNorm(5),
    "an own parameter": Gain,
}


@pytest.fixture(params=MIDDLES)
def middle(request):
    return request.param


@pytest.fixture(params=PREPARED)
def prepared(request, middle):
    torch.manual_seed(0)
    model = Prepared(PREPARED[request.param], MIDDLES[middle]()).double().eval()
    return model, torch.randn(4, 6).double()


def test_measured(prepared):
    model, inputs = prepared
    before = inputs.clone()
    assert_as_dense(model, inputs)
    assert torch.equal(inputs, before)


def test_curvature(prepared):
    model, inputs = prepared
    before, targets = inputs.clone(), torch.ones(4, 2).double()
    expected = dense_hessian_trace(model, inputs, lambda f: (f - targets).square().sum() / 8)
    found = flatness.measure(model, inputs).merge(
        flatness.curvature(model, inputs, targets, exact_products=10**9)
    )
    trace = float(flatness.quantities(found)["hessian_trace"])
    assert trace == pytest.approx(expected, rel=1e-8)
    assert torch.equal(inputs, before)


def test_images_normalised_in_place_before_a_convolution():
    class Photographs(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            x.sub_(x.new_tensor([0.4, 0.5, 0.6])[:, None, None]).div_(0.25)
            return self.head(torch.tanh(self.norm(self.first(x))).mean((2, 3)))

    torch.manual_seed(0)
    assert_as_dense(Photographs(), torch.rand(3, 3, 6, 6))
