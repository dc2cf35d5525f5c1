"""Measured primitives against dense Jacobians, for many architectures."""

import numpy as np
import pytest
import torch

import flatness
from tests.measurement.architectures import ARCHITECTURES, SAMPLES, network
from tests.measurement.reference import dense_jacobians

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}

HAS_INPUT_WEIGHT = {
    "linear": "weight",
    "linear-without-bias": "weight",
    "more-outputs-than-inputs": "weight",
    "mlp-tanh": "0.weight",
    "mlp-relu": "0.weight",
    "mlp-relu-in-place": "0.weight",
    "mlp-registered": "1.weight",
    "layer-norm": "0.weight",
    "tied-modules": None,
    "unused-layers": "first.weight",
    "frozen-parameters": "0.weight",
}


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param


def test_primitives_equal_those_of_dense_jacobians(architecture, dtype):
    model, inputs = network(architecture, dtype)
    J, K = dense_jacobians(model, inputs)
    expected_values = torch.linalg.svdvals(J).numpy()
    padding = J.shape[1] - expected_values.shape[1]
    expected_values = np.pad(expected_values, ((0, 0), (0, max(padding, 0))))
    expected_norms = torch.stack([k.square().sum((1, 2)) for k in K.values()], 1).numpy()

    measured = flatness.measure(model, inputs)

    assert list(measured["parameter"].values) == list(K)
    values, norms = measured["singular_value"].values, measured["parameter_gradient_sq_norm"].values
    assert np.all(np.abs(values - expected_values) <= TOLERANCE[dtype] * expected_values[:, :1]), (
        "singular values, relative to the largest"
    )
    assert np.all(
        np.abs(norms - expected_norms) <= TOLERANCE[dtype] * expected_norms.sum(1, keepdims=True)
    ), "squared norms, relative to their sum"
    assert np.allclose(
        measured["input_norm"], np.linalg.norm(inputs.double().flatten(1).numpy(), axis=1)
    )
    output = model(inputs.clone().requires_grad_()).detach().numpy()
    assert np.allclose(measured["network_output"], output, atol=1e-6)


def test_result_does_not_depend_on_the_chunk_size(architecture):
    model, inputs = network(architecture, torch.float64)
    whole = flatness.measure(model, inputs, chunk_size=SAMPLES)
    for chunk_size in (1, 2, 3):
        parts = flatness.measure(model, inputs, chunk_size=chunk_size)
        for name in ("singular_value", "parameter_gradient_sq_norm", "network_output"):
            assert np.allclose(parts[name], whole[name], rtol=1e-10, atol=1e-13), (name, chunk_size)


def test_first_linear_layer_is_found_only_where_eq_4_holds(architecture):
    model, inputs = network(architecture, torch.float64)
    measured = flatness.measure(model, inputs)
    expected = HAS_INPUT_WEIGHT.get(architecture)
    spectral = measured["input_weight_spectral_norm"]
    frobenius = measured["input_weight_frobenius_norm"]
    if expected is None:
        assert np.isnan(spectral)
        assert np.isnan(frobenius)
        assert "Eq. 4 does not apply" in spectral.attrs["absent"]
        return
    assert spectral.attrs["input_weight"] == expected
    W = dict(model.named_parameters())[expected].detach().numpy()
    assert np.isclose(spectral, np.linalg.svd(W, compute_uv=False)[0])
    assert np.isclose(frobenius, np.sqrt((W**2).sum()))


def test_closed_forms_are_used_where_they_apply(monkeypatch):
    """The exactness above must not come from differentiating every sample on its own."""
    from flatness.measurement import chunk_terms

    asked = []

    def spy(network, inputs, names, adaptive):
        asked.append(names)
        return {}, {}

    monkeypatch.setattr(chunk_terms, "per_sample_sq_norms", spy)
    for name in (
        "linear",
        "mlp-tanh",
        "mlp-relu-in-place",
        "vgg10-8x8",
        "strided-convolution",
        "layer-norm",
        "batch-norm",
        "attention",
        "tied-modules",
        "recurrent",
    ):
        flatness.measure(*network(name, torch.float32))
    assert asked == []


def test_per_sample_path_covers_what_has_no_closed_form(monkeypatch):
    """And nothing else; of both squared norms."""
    from flatness.measurement import chunk_terms

    real, asked = chunk_terms.per_sample_sq_norms, []

    def spy(network, inputs, names, adaptive):
        asked.append((list(names), adaptive))
        return real(network, inputs, names, adaptive)

    monkeypatch.setattr(chunk_terms, "per_sample_sq_norms", spy)
    # As it is and transposed: two weights with one gradient.
    flatness.measure(*network("shared-weights", torch.float32))
    assert asked == [(["tied.weight"], True)]
    asked.clear()
    flatness.measure(*network("transposed-convolution", torch.float32))
    assert asked == [(["0.weight"], True)]


def test_linear_network_in_closed_form():
    """f(x) = W x + b: J = W, ||K||^2 = N |x|^2 for W and N for b."""
    model, inputs = network("linear", torch.float64)
    measured = flatness.measure(model, inputs)
    W = model.weight.detach().numpy()
    outputs = len(W)
    expected = np.tile(np.linalg.svd(W, compute_uv=False), (len(inputs), 1))
    assert np.allclose(measured["singular_value"], expected, rtol=1e-12)
    sq_norms = measured["parameter_gradient_sq_norm"]
    assert np.allclose(sq_norms.sel(parameter="weight"), outputs * measured["input_norm"] ** 2)
    assert np.allclose(sq_norms.sel(parameter="bias"), outputs)


@pytest.mark.parametrize("noise", [1e-1, 1e-3, 1e-5])
def test_cancelling_positions_keep_their_precision(noise):
    """Inputs alike at all positions, and an output that subtracts their mean."""

    class Centred(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = torch.nn.Linear(64, 8), torch.nn.Linear(32, 3)

        def forward(self, x):
            y = self.layer(x)
            return self.head((y - y.mean(1, keepdim=True)).flatten(1))

    torch.manual_seed(0)
    model = Centred().eval()
    inputs = torch.randn(5, 1, 64) + noise * torch.randn(5, 4, 64)
    _, K = dense_jacobians(model, inputs)
    expected = K["layer.weight"].square().sum((1, 2)).numpy()
    measured = flatness.measure(model, inputs)["parameter_gradient_sq_norm"]
    weight = measured.sel(parameter="layer.weight").values
    assert np.all(weight >= 0)
    assert np.allclose(weight, expected, rtol=1e-5 if noise > 1e-4 else 1e-2)


def test_equal_numbers_are_not_taken_for_the_inputs():
    """x and x^2 are the same binary numbers, but Eq. 4 holds for x only."""

    class Squared(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(6, 3)

        def forward(self, x):
            return torch.tanh(self.layer(x**2))

    inputs = (torch.rand(8, 6) > 0.5).float()
    measured = flatness.measure(Squared().eval(), inputs)
    assert np.isnan(measured["input_weight_spectral_norm"])


def test_small_singular_values_survive():
    """A Gram matrix would lose everything below the root of the precision."""
    model = torch.nn.Linear(5, 3, bias=False).double().eval()
    expected = np.array([1.0, 1e-6, 1e-13])
    draw = np.random.default_rng(0)
    left = np.linalg.qr(draw.normal(size=(3, 3)))[0]
    right = np.linalg.qr(draw.normal(size=(5, 3)))[0]
    with torch.no_grad():
        model.weight.copy_(torch.from_numpy(left * expected @ right.T))
    measured = flatness.measure(model, torch.ones(2, 5).double())["singular_value"]
    assert np.allclose(measured, expected, rtol=1e-2, atol=0)
