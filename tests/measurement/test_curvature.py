"""The trace of the loss Hessian against dense Hessians."""

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn
from torch.nn import functional

import flatness
from flatness.errors import MeasurementError
from flatness.measurement.curvature import curvature
from tests.measurement.architectures import ARCHITECTURES, SAMPLES, network
from tests.measurement.reference import dense_hessian_trace

# Dense Hessians of these would take minutes.
LARGE = {"vgg10-8x8", "vgg10-32x32", "mlp-registered"}
SMALL = [name for name in ARCHITECTURES if name not in LARGE]


def _targets(model, inputs):
    outputs = model(inputs.clone().requires_grad_()).shape[1]
    return functional.one_hot(torch.arange(len(inputs)) % outputs, outputs).to(inputs)


def _quadratic(output, targets):
    """The loss of Eq. 2."""
    return (output - targets).square().sum() / (2 * len(targets))


def _trace(model, inputs, targets, **options) -> xr.Dataset:
    primitives = flatness.measure(model, inputs)
    return flatness.quantities(primitives.merge(curvature(model, inputs, targets, **options)))


@pytest.mark.parametrize("architecture", SMALL)
def test_exact_trace_equals_that_of_the_dense_hessian(architecture):
    model, inputs = network(architecture, torch.float64)
    targets = _targets(model, inputs)
    expected = dense_hessian_trace(model, inputs, lambda f: _quadratic(f, targets))
    found = _trace(model, inputs, targets, exact_products=10**9)
    assert float(found["hessian_trace"]) == pytest.approx(expected, rel=1e-8)
    assert float(found["hessian_trace_standard_error"]) == 0


def test_a_tanh_network_has_curvature_and_a_relu_network_has_none():
    """Without this, the comparison above might be one of sharpnesses only."""
    for name, curved in (("mlp-tanh", True), ("mlp-relu", False), ("strided-convolution", True)):
        model, inputs = network(name, torch.float64)
        rho = curvature(model, inputs, _targets(model, inputs))["residual_curvature"]
        assert bool((rho != 0).any()) == curved, name


@pytest.mark.parametrize("name", ["vgg10-8x8", "vgg10-32x32"])
def test_piecewise_linear_networks_need_no_estimate(name):
    model, inputs = network(name, torch.float32)
    found = curvature(model, inputs, _targets(model, inputs))
    assert found["residual_curvature"].attrs["method"] == "exact"
    assert (found["residual_curvature"] == 0).all()


class Product(nn.Module):
    """tanh(x W), without a layer."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(6, 4).double())

    def forward(self, x):
        return torch.tanh(x @ self.w)


def test_networks_without_layers():
    model, inputs = Product().eval(), torch.randn(5, 6).double()
    targets = _targets(model, inputs)
    expected = dense_hessian_trace(model, inputs, lambda f: _quadratic(f, targets))
    assert float(_trace(model, inputs, targets)["hessian_trace"]) == pytest.approx(expected)


def test_modules_without_curvature_need_no_estimate():
    """Batch normalisation in eval mode is linear in its parameters."""
    layers = [nn.Conv2d(2, 40, 3), nn.BatchNorm2d(40), nn.ReLU(), nn.Flatten(), nn.Linear(640, 3)]
    model = nn.Sequential(*layers).double().eval()
    inputs = torch.randn(4, 2, 6, 6).double()
    found = curvature(model, inputs, _targets(model, inputs), exact_products=0)
    assert (found["residual_curvature"] == 0).all()
    assert (found["residual_curvature_standard_error"] == 0).all()


def test_a_layer_that_is_dead_for_some_samples_changes_no_probe():
    """The second chunk has curvature in fewer layers than the first."""
    torch.manual_seed(0)
    layers = [nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5), nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(5, 3)).double().eval()
    inputs = torch.randn(6, 4).double()
    with torch.no_grad():
        model[0].weight[:, 0] = 100.0
        model[2].weight.abs_()
        inputs[:3, 0], inputs[3:, 0] = -10.0, 0.01
    targets = _targets(model, inputs)
    whole, halves = (
        curvature(model, inputs, targets, exact_products=0, chunk_size=size) for size in (6, 3)
    )
    assert (whole["residual_curvature"] != 0).any()
    xr.testing.assert_allclose(whole, halves, rtol=1e-10)


@pytest.mark.parametrize(
    "architecture", ["mlp-tanh", "linear-at-positions", "convolutions-1d-3d", "layer-norm"]
)
def test_the_interval_of_the_estimate_covers_the_trace(architecture):
    model, inputs = network(architecture, torch.float64)
    targets = _targets(model, inputs)
    exact = curvature(model, inputs, targets, exact_products=10**9)["residual_curvature"].mean()
    covered = 0
    for seed in range(100):
        found = curvature(model, inputs, targets, exact_products=0, probes=30, seed=seed)
        assert (
            found["residual_curvature"].attrs["method"]
            == f"30 random probes for each sample, seed {seed}"
        )
        errors = found["residual_curvature_standard_error"]
        error = float(np.sqrt((errors**2).sum())) / SAMPLES
        assert error > 0
        covered += abs(float(found["residual_curvature"].mean() - exact)) <= 1.96 * error
    print(f"{architecture}: covered {covered} of 100")
    assert 90 <= covered < 100


@pytest.mark.parametrize("exact_products", [0, 10**9])
@pytest.mark.parametrize("architecture", ["mlp-tanh", "layer-norm", "linear-at-positions"])
def test_the_chunk_size_does_not_matter(architecture, exact_products):
    model, inputs = network(architecture, torch.float64)
    targets = _targets(model, inputs)
    whole = curvature(model, inputs, targets, exact_products=exact_products)
    for chunk_size in (1, 2, 3):
        parts = curvature(
            model, inputs, targets, exact_products=exact_products, chunk_size=chunk_size
        )
        xr.testing.assert_allclose(parts, whole, rtol=1e-10)


def test_mean_squared_error_has_two_nths_of_the_hessian():
    """MSELoss takes the mean over the batch and over N outputs: its loss is (2/N) L."""
    model, inputs = network("mlp-tanh", torch.float64)
    targets = _targets(model, inputs)
    trace = dense_hessian_trace(model, inputs, lambda f: nn.MSELoss()(f, targets))
    found = _trace(model, inputs, targets, exact_products=10**9)
    assert trace == pytest.approx(2 / targets.shape[1] * float(found["hessian_trace"]), rel=1e-10)


def test_at_interpolation_the_trace_is_the_sharpness():
    """Lemma A.1: with targets that are the outputs nothing is left."""
    model, inputs = network("mlp-tanh", torch.float64)
    output = model(inputs).detach()
    found = _trace(model, inputs, output)
    assert float(found["hessian_trace"]) == float(found["sharpness"])
    off = _trace(model, inputs, output + 0.1)
    assert float(off["hessian_gap"]) > 1e-3
    assert float(off["mean_residual_norm"]) == pytest.approx(0.1 * 2)  # four outputs


def test_float32_agrees_with_float64():
    model, inputs = network("mlp-tanh", torch.float32)
    targets = _targets(model, inputs)
    single = curvature(model, inputs, targets)["residual_curvature"]
    double = curvature(model.double(), inputs.double(), targets.double())["residual_curvature"]
    assert np.allclose(single, double, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("architecture", ["mlp-tanh", "layer-norm", "strided-convolution"])
@pytest.mark.parametrize("exact_products", [0, 10**9])
def test_a_gpu_gives_the_same_numbers(architecture, exact_products):
    model, inputs = network(architecture, torch.float64)
    targets = _targets(model, inputs)
    expected = curvature(model, inputs, targets, exact_products=exact_products)
    found = curvature(
        model.to("cuda"), inputs.to("cuda"), targets.to("cuda"), exact_products=exact_products
    )
    xr.testing.assert_allclose(found, expected, rtol=1e-9)


def test_nothing_is_changed():
    model, inputs = network("layer-norm", torch.float64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    curvature(model, inputs, _targets(model, inputs), exact_products=0)
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("targets", "options", "message"),
    [
        (torch.ones(5), {}, r"targets: \(5,\)\. Allowed: a tensor of shape \(5, N\)"),
        ([1, 2], {}, r"targets: list\. Allowed"),
        (torch.ones(5, 4).double(), {}, r"torch\.float64 on cpu.*one dtype"),
        (torch.full((5, 4), torch.nan), {}, r"not finite"),
        (torch.ones(5, 3), {}, r"3 columns for 4 outputs"),
        (torch.ones(5, 4), {"probes": 1}, r"probes = 1\. Allowed: 2 or more"),
    ],
)
def test_refused(targets, options, message):
    model, inputs = network("mlp-tanh", torch.float32)
    with pytest.raises(MeasurementError, match=message):
        curvature(model, inputs, targets, **options)


class Gate(nn.Module):
    """The root of a parameter times zero has no derivative."""

    def __init__(self):
        super().__init__()
        self.layer, self.p = nn.Linear(3, 2), nn.Parameter(torch.ones(1))

    def forward(self, x):
        return torch.tanh(self.layer(x)) + torch.sqrt((x[:, :1] > 0) * self.p)


def test_derivatives_that_are_not_finite_are_refused():
    inputs = torch.tensor([[1.0, 2, 3], [-1, 2, 3]])
    with pytest.raises(MeasurementError, match=r"parameter Jacobian holds values that are not"):
        flatness.measure(Gate().eval(), inputs)
    with pytest.raises(MeasurementError, match=r"second derivatives hold values that are not"):
        curvature(Gate().eval(), inputs, torch.ones(2, 2))


def test_a_network_that_has_one_derivative_only_is_refused():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.exp()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gradient):
            return gradient * ctx.saved_tensors[0].exp()

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x):
            return Once.apply(self.layer(x))

    with pytest.raises(MeasurementError, match=r"can be differentiated once only"):
        curvature(Model().eval(), torch.ones(4, 3), torch.ones(4, 2))
