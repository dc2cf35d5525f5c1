"""The terms of single layers against dense Jacobians of the rest of the network."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import flatness
from flatness.analysis.bounds import bounds, check
from tests.measurement.architectures import ARCHITECTURES, network
from tests.measurement.dense_primitives import layer_jacobians
from tests.measurement.reference import dense_jacobians

SEQUENTIAL = [
    "mlp-tanh",
    "mlp-relu-in-place",
    "vgg10-8x8",
    "strided-convolution",
    "grouped-convolution",
    "linear-at-positions",
    "layer-norm",
    "more-outputs-than-inputs",
]


def _positions(model: nn.Module) -> dict[str, int]:
    """Where the linear layers and convolutions stand in a sequence."""
    return {
        name: int(name)
        for name, module in model.named_children()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
    }


def _jacobian(function, x: torch.Tensor) -> torch.Tensor:
    J = torch.autograd.functional.jacobian(function, x)
    return J.reshape(-1, x.numel())


@pytest.mark.parametrize("architecture", SEQUENTIAL)
def test_terms_equal_those_of_dense_jacobians(architecture):
    model, inputs = network(architecture, torch.float64)
    if not isinstance(model, nn.Sequential):
        model = nn.Sequential(model).eval()
    measured = flatness.measure(model, inputs)
    positions = _positions(model)
    assert list(measured["layer"].values) == list(positions)
    assert measured["layer_operator_norm"].attrs["left_out"] == "[]"
    for name, position in positions.items():
        of_layer = measured.sel(layer=name)
        for sample, x in enumerate(inputs):
            x = model[:position](x[None]).detach().clone()
            z = model[position](x).detach()
            # The layer on its own first: what follows may work in place on its output.
            into = _jacobian(lambda y: model[position + 1 :](model[position](y).clone())[0], x)  # noqa: B023
            out_of = _jacobian(lambda y: model[position + 1 :](y.clone())[0], z)  # noqa: B023
            for term, expected in (
                ("layer_input_norm", x.norm()),
                ("layer_sensitivity", torch.linalg.matrix_norm(into, 2)),
                ("layer_output_gradient_sq_norm", out_of.square().sum()),
            ):
                found = of_layer[term].isel(sample=sample)
                assert np.isclose(found, float(expected), rtol=1e-10), (name, term)


def test_a_layers_term_is_that_through_the_layer_alone():
    """f(x) = B h + C h with h = A x: the terms are the norms of B and C, not of B + C."""

    class Parallel(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(5, 4), nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x):
            h = self.a(x)
            return self.b(h) + self.c(h)

    torch.manual_seed(0)
    model = Parallel().double().eval()
    measured = flatness.measure(model, torch.randn(6, 5).double())["layer_sensitivity"]
    for name in ("b", "c"):
        norm = torch.linalg.matrix_norm(getattr(model, name).weight.detach(), 2)
        assert np.allclose(measured.sel(layer=name), float(norm), rtol=1e-12)
    both = (model.b.weight + model.c.weight) @ model.a.weight
    assert np.allclose(measured.sel(layer="a"), float(torch.linalg.matrix_norm(both.detach(), 2)))


@pytest.mark.parametrize(
    ("architecture", "layers", "others"),
    [
        # Called once, so T is the weight; what reads the weight a second time has no name.
        ("shared-weights", ["tied", "head"], ["inner", "tied.weight"]),
        ("transposed-convolution", ["2"], ["0"]),
        # T does not depend on the samples, whatever it is computed from.
        ("weight-normalised", ["0", "2"], []),
        ("hooked", ["2"], ["0"]),
        ("tied-modules", ["one", "two", "head"], []),
        ("lstm", ["1.head"], ["0.weight_hh_l0", "0.weight_ih_l0"]),
        # A learned position is added and no linear map.
        ("attention", ["embed", "attention.in_proj", "attention.out_proj", "mix", "head"], []),
        ("mlp-tanh", ["0", "2", "4"], []),
    ],
)
def test_layers_without_terms_are_named(architecture, layers, others):
    measured = flatness.measure(*network(architecture, torch.float64))
    assert json.loads(measured["layer_operator_norm"].attrs["left_out"]) == others
    assert list(measured["layer"].values) == layers


def test_weights_used_by_functions_are_layers():
    """One that is called twice is not, with positional arguments or without."""

    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(4, 4) for _ in range(3))

        def forward(self, x):
            x = torch.tanh(nn.functional.linear(x, self.a.weight, self.a.bias))
            x = torch.tanh(self.b(x) + self.b(input=2 * x))
            return self.c(x)

    model, inputs = Functional().double().eval(), torch.randn(3, 4).double()
    measured = flatness.measure(model, inputs)
    assert list(measured["layer"].values) == ["a", "c"]
    assert json.loads(measured["layer_operator_norm"].attrs["left_out"]) == ["b"]
    assert np.isnan(flatness.quantities(measured)["nmls"])
    of_a = measured.sel(layer="a")
    J, K = dense_jacobians(model, inputs)
    of_bias = K["a.bias"].square().sum((1, 2))
    for term, expected in (
        ("layer_input_norm", inputs.norm(dim=1)),
        ("layer_sensitivity", torch.linalg.matrix_norm(J, 2)),
        ("layer_output_gradient_sq_norm", of_bias),
        ("layer_operator_norm", torch.linalg.matrix_norm(model.a.weight.detach(), 2)),
    ):
        assert np.allclose(of_a[term], expected, rtol=1e-10), term


def test_layers_that_return_no_tensor_can_be_measured():
    class Pair(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.pair, self.head = Pair(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.pair(x)[0])

    measured = flatness.measure(Model().eval(), torch.randn(3, 4))
    assert json.loads(measured["layer_operator_norm"].attrs["left_out"]) == ["pair.weight"]


def test_hooks_on_every_module_leave_no_layer_plain():
    """Such a hook may change what the layers return."""
    model, inputs = network("mlp-tanh", torch.float64)

    def double(module, _arguments, output):
        return 2 * output if isinstance(module, nn.Linear) else None

    handle = nn.modules.module.register_module_forward_hook(double)
    try:
        measured = flatness.measure(model, inputs)
        _, K = dense_jacobians(model, inputs)
    finally:
        handle.remove()
    assert measured.sizes["layer"] == 0
    expected = torch.stack([k.square().sum((1, 2)) for k in K.values()], 1)
    assert np.allclose(measured["parameter_gradient_sq_norm"], expected, rtol=1e-10)


def test_tiny_derivatives_are_not_lost_in_float32():
    """Their squares are no float32 numbers."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2)).eval()
    with torch.no_grad():
        model[2].weight *= 1e-25
    inputs = torch.randn(3, 1, 4, 4)
    single = flatness.measure(model, inputs)
    double = flatness.measure(model.double(), inputs.double())
    for name in (
        "layer_output_gradient_sq_norm",
        "parameter_gradient_sq_norm",
        "parameter_adaptive_sq_norm",
        "input_times_gradient_sq_norm",
    ):
        assert np.allclose(single[name], double[name], rtol=1e-4, atol=0), name
    check(bounds(single), "tiny")


def test_zeros_that_a_layer_adds_at_one_side_are_no_entries_of_its_input():
    """An even kernel that keeps the extents; x^l is what the layer was given."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 3, 1), nn.Tanh(), nn.Conv2d(3, 2, 4, padding="same"), nn.Tanh()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(60, 3)).double().eval()
    inputs = torch.randn(3, 2, 6, 5).double()
    of_layer = flatness.measure(model, inputs).sel(layer="2")
    for sample, J in enumerate(layer_jacobians(model, inputs, "2")):
        values = torch.linalg.svdvals(J)
        found = of_layer.isel(sample=sample)
        assert np.isclose(found["layer_sensitivity"], float(values[0]), rtol=1e-10)
        assert np.isclose(found["layer_log_volume"], float(values.log().sum()), rtol=1e-10)


def test_eq_4_holds_where_it_is_said_to_and_only_there():
    """||df/dW||_F = ||df/dz||_F ||x|| for each layer that is marked, and for no other."""
    marked = unmarked = 0
    for architecture in ARCHITECTURES:
        model, inputs = network(architecture, torch.float64)
        measured = flatness.measure(model, inputs)
        for name in measured["layer"].values:
            of_layer = measured.sel(layer=name)
            weight = f"{name}.weight" if name else "weight"
            product = of_layer["layer_output_gradient_sq_norm"] * of_layer["layer_input_norm"] ** 2
            if weight not in measured["parameter"]:
                continue
            sq_norm = measured["parameter_gradient_sq_norm"].sel(parameter=weight)
            equal = np.allclose(sq_norm, product, rtol=1e-9)
            if of_layer["layer_eq4_holds"]:
                assert equal, (architecture, name)
                marked += 1
            else:
                unmarked += not equal
    assert marked > 20
    assert unmarked > 10


@pytest.mark.parametrize(
    ("architecture", "layer"),
    [
        ("mlp-tanh", "0"),
        ("mlp-registered", "1"),
        ("vgg10-8x8", "0"),
        ("strided-convolution", "0"),
        ("linear-at-positions", "0"),
        ("skip-past-first-layer", None),
        ("recurrent", None),
    ],
)
def test_the_layer_that_reads_the_inputs(architecture, layer):
    measured = flatness.measure(*network(architecture, torch.float64))
    attributes = measured["layer_operator_norm"].attrs
    assert attributes.get("input_layer") == layer
    assert ("absent" in attributes) == (layer is None)
    if layer is not None:
        sigma = measured["singular_value"].isel(mode=0)
        assert np.array_equal(measured["layer_sensitivity"].sel(layer=layer), sigma)


@pytest.mark.parametrize(
    ("architecture", "layer"),
    [
        ("linear", ""),
        ("mlp-tanh", "4"),
        ("strided-convolution", "4"),
        ("attention", "head"),
        ("linear-at-positions", "4"),
        ("convolutions-1d-3d", "5"),
        ("unused-layers", None),
    ],
)
def test_the_layer_whose_output_is_the_networks(architecture, layer):
    measured = flatness.measure(*network(architecture, torch.float64))
    attributes = measured["layer_weight_frobenius_norm"].attrs
    assert attributes.get("output_layer") == layer
    assert ("absent" in attributes) == (layer is None)
