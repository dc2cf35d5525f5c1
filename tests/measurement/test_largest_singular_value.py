"""The largest singular value by iterations, against that of the dense Jacobian."""

import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd.function import once_differentiable

import flatness
from flatness.errors import MeasurementError
from flatness.measurement import largest_singular_value
from flatness.measurement.frozen import FrozenNetwork
from flatness.measurement.largest_singular_value import TOLERANCE, largest_singular_values
from flatness.measurement.probes import Probes
from tests.measurement.architectures import ARCHITECTURES, network
from tests.measurement.reference import dense_jacobians


def _found(model, inputs, outputs, seed=0):
    starts = Probes(2, seed).starts(0, len(inputs), outputs).to(inputs.device)
    return largest_singular_values(FrozenNetwork(model), inputs, starts)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_as_that_of_the_dense_jacobian(name, dtype):
    model, inputs = network(name, dtype)
    J, _ = dense_jacobians(model, inputs)
    expected = torch.linalg.svdvals(J)[:, 0]
    found = _found(model, inputs, J.shape[1])
    assert found.absent is None
    assert found.values.dtype == torch.float64
    rounding = {torch.float32: 1e-4, torch.float64: 1e-12}[dtype] * expected
    assert (found.values <= expected + rounding).all(), "a lower bound"
    assert ((found.values - expected).abs() <= found.residuals + rounding).all()
    assert (found.residuals <= TOLERANCE * found.values).all()
    assert (found.residuals >= torch.finfo(dtype).eps * found.values).all()


def _with_spectrum(values):
    """x -> A x + b with these singular values, 60 inputs."""
    generator = torch.Generator().manual_seed(1)
    one, other = (
        torch.linalg.qr(torch.randn(size, len(values), generator=generator, dtype=torch.float64)).Q
        for size in (len(values), 60)
    )
    model = nn.Linear(60, len(values)).double()
    with torch.no_grad():
        model.weight.copy_(one @ torch.diag(values) @ other.T)
    return model.eval()


@pytest.mark.parametrize("most", [1, 2, 4, 8])
def test_few_iterations_give_a_lower_bound_with_a_true_residual(monkeypatch, most):
    spectrum = torch.linspace(1, 2, 40, dtype=torch.float64)
    model, inputs = _with_spectrum(spectrum), torch.zeros(3, 60, dtype=torch.float64)
    monkeypatch.setattr(largest_singular_value, "ITERATIONS", most)
    found = _found(model, inputs, 40)
    assert (found.values < 2 - 1e-4).all()
    assert (found.residuals > TOLERANCE * found.values).all()
    nearest = (found.values[:, None] - spectrum).abs().amin(1)
    assert (nearest <= found.residuals).all()
    monkeypatch.setattr(largest_singular_value, "ITERATIONS", most + 2)
    more = _found(model, inputs, 40)
    assert (more.values > found.values).all()
    assert len(found.values.unique()) == 3, "each sample starts from a vector of its own"


def test_iterations_end_with_the_last_output_and_input(monkeypatch):
    """The N x M Jacobian has no more singular values than iterations find."""
    monkeypatch.setattr(largest_singular_value, "TOLERANCE", 0)
    spectrum = torch.linspace(1, 1.001, 12, dtype=torch.float64)
    found = _found(_with_spectrum(spectrum), torch.zeros(2, 60, dtype=torch.float64), 12)
    assert torch.allclose(found.values, spectrum[-1], rtol=1e-12)
    wide = nn.Linear(3, 50).double().eval()
    expected = torch.linalg.matrix_norm(wide.weight.detach(), 2)
    found = _found(wide, torch.zeros(2, 3, dtype=torch.float64), 50)
    assert torch.allclose(found.values, expected, rtol=1e-12)
    assert (found.residuals < 1e-12).all()


def test_one_sample_of_zero_derivatives_beside_another():
    model, inputs = nn.Sequential(nn.ReLU(), nn.Linear(4, 3)).double().eval(), torch.ones(2, 4)
    inputs[1] = -1
    found = _found(model, inputs.double(), 3)
    norm = torch.linalg.matrix_norm(model[1].weight.detach(), 2)
    assert found.values.tolist() == pytest.approx([float(norm), 0.0], rel=1e-9)
    assert found.residuals[1] == 0


def test_what_a_sample_gets_does_not_depend_on_those_beside_it():
    """One converges at once, the other needs many iterations."""

    class Either(nn.Module):
        def __init__(self):
            super().__init__()
            self.easy = _with_spectrum(torch.tensor([5.0] + [1e-3] * 39, dtype=torch.float64))
            self.hard = _with_spectrum(torch.linspace(1, 2, 40, dtype=torch.float64))

        def forward(self, x):
            return torch.where(x[:, :1] > 0, self.easy(x), self.hard(x))

    model, inputs = Either().eval(), torch.ones(2, 60, dtype=torch.float64)
    inputs[1] = -1
    both = _found(model, inputs, 40)
    alone = _found(model, inputs[:1], 40)
    assert torch.allclose(both.values[:1], alone.values, rtol=1e-13)
    assert torch.allclose(both.residuals[:1], alone.residuals, rtol=1e-6)
    assert both.residuals[0] < 1e-4 < both.residuals[1]


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.tanh(x)

    @staticmethod
    def slope(ctx):
        return 1 - torch.tanh(ctx.saved_tensors[0]).square()


class _Once(_Tanh):
    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        return gradient * _Tanh.slope(ctx)


class _NoBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ValueError("no second derivative\nand a second line")


class _Raising(_Tanh):
    @staticmethod
    def backward(ctx, gradient):
        return _NoBackward.apply(gradient * _Tanh.slope(ctx))


class _Foreign(_Tanh):
    """Its backward is calculated where autograd does not see it."""

    @staticmethod
    def backward(ctx, gradient):
        return (gradient * _Tanh.slope(ctx)).detach()


class _Detached(_Tanh):
    @staticmethod
    def backward(ctx, gradient):
        return gradient.detach() * _Tanh.slope(ctx)


class _HalfDetached(_Tanh):
    @staticmethod
    def backward(ctx, gradient):
        return (0.5 * gradient.detach() + 0.5 * gradient) * _Tanh.slope(ctx)


class _Rightly(_Tanh):
    @staticmethod
    def backward(ctx, gradient):
        return gradient * _Tanh.slope(ctx)


class _Net(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.first, self.head, self.function = nn.Linear(4, 4), nn.Linear(4, 3), function

    def forward(self, x):
        return self.head(self.function.apply(self.first(x)))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (_Raising, r"backward pass cannot be differentiated \(ValueError: no second derivative\)"),
        (_Foreign, r"backward pass cannot be differentiated$"),
        (_Once, r"the derivative of the network's backward pass is not what it should be"),
        (_Detached, r"the derivative of the network's backward pass is not what it should be"),
        (_HalfDetached, r"the derivative of the network's backward pass is not what it should be"),
    ],
)
def test_absent_where_the_backward_pass_cannot_be_differentiated(function, reason):
    torch.manual_seed(0)
    model, inputs = _Net(function).double().eval(), torch.rand(3, 4, dtype=torch.float64)
    if function is _Foreign:
        model.first = nn.Identity().eval()  # whose weight autograd would see
    found = flatness.measure(model, inputs, probes=3)
    for name in ("input_jacobian_norm", "input_jacobian_norm_residual"):
        assert found[name].isnull().all()
        assert "estimate" not in found[name].attrs
    quantities = flatness.quantities(found)
    for name in ("mls", "mls_residual"):
        assert np.isnan(quantities[name])
        assert "\n" not in quantities[name].attrs["absent"]
        assert re.search(reason, quantities[name].attrs["absent"])
    model.function = _Rightly
    other = flatness.measure(model, inputs, probes=3)
    J, _ = dense_jacobians(model, inputs)
    expected = torch.linalg.svdvals(J)[:, 0].numpy()
    assert np.allclose(other["input_jacobian_norm"], expected, rtol=1e-6)
    assert float(flatness.quantities(other)["mls"]) == pytest.approx(expected.mean(), rel=1e-6)
    assert np.allclose(
        other["parameter_gradient_sq_norm"], found["parameter_gradient_sq_norm"], rtol=1e-12
    )


def test_infinite_derivatives_are_refused():
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(x.abs().sqrt())

    inputs = torch.zeros(2, 4)
    with pytest.raises(MeasurementError, match="holds values that are not finite"):
        flatness.measure(Root().eval(), inputs, only=["mls"], probes=2)
    with pytest.raises(MeasurementError, match="holds values that are not finite"):
        flatness.measure(Root().eval(), inputs, only=["mean_input_gradient_sq_norm"], probes=2)
