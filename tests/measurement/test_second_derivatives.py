"""Functions of one's own and their second derivatives.

A custom Function may have a right gradient and a wrong derivative of it: what it keeps on its
context is a constant to autograd. Then finite differences of the loss give another trace.
"""

import numpy as np
import pytest
import torch
from torch import nn

import flatness
from flatness.errors import MeasurementError
from tests.measurement.finite_differences import hessian_trace
from tests.measurement.reference import dense_hessian_trace


class KeptOnContext(torch.autograd.Function):
    """(2z)^2 with 2z kept: a constant to autograd."""

    @staticmethod
    def forward(ctx, z):
        ctx.twice = 2 * z
        return ctx.twice**2

    @staticmethod
    def backward(ctx, gradient):
        return 4 * ctx.twice * gradient


class SavedIntermediate(torch.autograd.Function):
    """exp with its slope saved, which is neither an input nor an output."""

    @staticmethod
    def forward(ctx, z):
        slope = 3 * (3 * z).exp()
        ctx.save_for_backward(slope)
        return slope / 3

    @staticmethod
    def backward(ctx, gradient):
        (slope,) = ctx.saved_tensors
        return slope * gradient


class ThroughNumpy(torch.autograd.Function):
    """sin, differentiated by numpy."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return torch.from_numpy(np.sin(z.detach().numpy()))

    @staticmethod
    def backward(ctx, gradient):
        (z,) = ctx.saved_tensors
        return torch.from_numpy(np.cos(z.detach().numpy())) * gradient


class WithoutGraph(torch.autograd.Function):
    """z^3 whose backward detaches."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return z**3

    @staticmethod
    def backward(ctx, gradient):
        (z,) = ctx.saved_tensors
        with torch.no_grad():
            slope = 3 * z**2
        return slope * gradient


class ActiveForFew(torch.autograd.Function):
    """The square of what is above 2, with it kept on the context."""

    @staticmethod
    def forward(ctx, z):
        ctx.above = (z - 2).relu()
        return ctx.above**2

    @staticmethod
    def backward(ctx, gradient):
        return 2 * ctx.above * gradient


class SavedInput(torch.autograd.Function):
    """z^3, as the manual says."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return z**3

    @staticmethod
    def backward(ctx, gradient):
        (z,) = ctx.saved_tensors
        return 3 * z**2 * gradient


class SavedOutput(torch.autograd.Function):
    """exp with its output saved."""

    @staticmethod
    def forward(ctx, z):
        result = z.exp()
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, gradient):
        (result,) = ctx.saved_tensors
        return result * gradient


class KeptMask(torch.autograd.Function):
    """A rectifier whose mask stands on the context, where it does no harm."""

    @staticmethod
    def forward(ctx, z):
        ctx.positive = z > 0
        return z * ctx.positive

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.positive


class KeptNumber(torch.autograd.Function):
    """sin of a multiple, with the factor on the context."""

    @staticmethod
    def forward(ctx, z, factor):
        ctx.factor = factor
        ctx.save_for_backward(z)
        return (factor * z).sin()

    @staticmethod
    def backward(ctx, gradient):
        (z,) = ctx.saved_tensors
        return gradient * ctx.factor * (ctx.factor * z).cos(), None


class OwnLinear(torch.autograd.Function):
    """A linear map of two inputs, written as the manual does."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight.mT

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        return gradient @ weight, gradient.mT @ x


class Applied(nn.Module):
    """A layer, a function of one's own, and a head."""

    def __init__(self, function, middle=None):
        super().__init__()
        self.function, self.middle = function, middle or nn.Identity()
        self.layer, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.function(self.middle(self.layer(x))))


class Gain(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.rand(4) + 0.5)

    def forward(self, z):
        return z * self.gain


class Projected(nn.Module):
    """The function is the layer."""

    def __init__(self):
        super().__init__()
        self.weight, self.head = nn.Parameter(torch.randn(4, 3)), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.tanh(OwnLinear.apply(x, self.weight)))


WRONG = {
    "kept on the context": (lambda: Applied(KeptOnContext.apply), "KeptOnContext"),
    "behind a normalisation": (
        lambda: Applied(KeptOnContext.apply, nn.LayerNorm(4)),
        "KeptOnContext",
    ),
    "behind a parameter of no layer": (
        lambda: Applied(KeptOnContext.apply, Gain()),
        "KeptOnContext",
    ),
    "an intermediate saved": (lambda: Applied(SavedIntermediate.apply), "SavedIntermediate"),
    "through numpy": (lambda: Applied(ThroughNumpy.apply), "ThroughNumpy"),
    "a backward without graph": (lambda: Applied(WithoutGraph.apply), "WithoutGraph"),
    "beside a right one": (
        lambda: Applied(lambda z: SavedInput.apply(z) + KeptOnContext.apply(z)),
        "KeptOnContext",
    ),
}
RIGHT = {
    "input saved": lambda: Applied(SavedInput.apply),
    "output saved": lambda: Applied(SavedOutput.apply),
    "behind a normalisation": lambda: Applied(SavedInput.apply, nn.LayerNorm(4)),
    "behind a parameter of no layer": lambda: Applied(SavedInput.apply, Gain()),
    "mask kept": lambda: Applied(lambda z: torch.tanh(KeptMask.apply(z))),
    "number kept": lambda: Applied(lambda z: KeptNumber.apply(z, 0.7)),
    "two in a row": lambda: Applied(lambda z: SavedOutput.apply(SavedInput.apply(z))),
    "own linear map": Projected,
}


def _set(build):
    torch.manual_seed(0)
    model, inputs = build().double().eval(), torch.randn(4, 3).double()
    targets = torch.randn(4, 2).double()
    return model, inputs, targets


def _found(model, inputs, targets, **options) -> float:
    both = flatness.measure(model, inputs).merge(
        flatness.curvature(model, inputs, targets, **options)
    )
    return float(flatness.quantities(both)["hessian_trace"])


@pytest.mark.parametrize("exact_products", [0, 10**9])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_double_backward_is_refused_and_named(name, exact_products):
    build, function = WRONG[name]
    model, inputs, targets = _set(build)

    def loss(output):
        return (output - targets).square().sum() / 8

    # Without this, the refusal might be of a right one.
    by_autograd = dense_hessian_trace(model, inputs, loss)
    by_differences = hessian_trace(model, lambda: loss(model(inputs)))
    assert by_autograd != pytest.approx(by_differences, rel=1e-2)
    with pytest.raises(MeasurementError, match=function) as caught:
        flatness.curvature(model, inputs, targets, exact_products=exact_products)
    message = str(caught.value)
    assert "\n" not in message
    assert "Allowed: " in message


def test_a_function_that_is_wrong_for_one_sample_of_many():
    model = Applied(ActiveForFew.apply).double().eval()
    inputs, targets = torch.randn(9, 3).double(), torch.randn(9, 2).double()
    with torch.no_grad():
        model.layer.weight.copy_(torch.eye(4, 3))
        model.layer.bias.zero_()
        inputs.clamp_(-1, 1)
        inputs[5] = 3.0
    assert (model.layer(inputs) > 2).any(1).sum() == 1
    with pytest.raises(MeasurementError, match="ActiveForFew"):
        flatness.curvature(model, inputs, targets)


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_double_backward_is_measured(name):
    model, inputs, targets = _set(RIGHT[name])
    found = _found(model, inputs, targets, exact_products=10**9)
    by_differences = hessian_trace(model, lambda: (model(inputs) - targets).square().sum() / 8)
    assert found == pytest.approx(by_differences, rel=1e-4)


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_double_backward_is_measured_in_single_precision(name):
    """The probe must not take rounding for a mistake."""
    model, inputs, targets = _set(RIGHT[name])
    expected = _found(model, inputs, targets, exact_products=10**9)
    found = _found(model.float(), inputs.float(), targets.float(), exact_products=10**9)
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", WRONG)
def test_measure_needs_one_derivative_only(name):
    model, inputs, _ = _set(WRONG[name][0])
    flatness.measure(model, inputs)
