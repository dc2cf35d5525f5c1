"""Networks in wrappers, of other dtypes and out of exported programs: measured, or one line."""

import copy
import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import flatness
from flatness.errors import MeasurementError
from tests.measurement.comparison import assert_as_dense
from tests.measurement.reference import dense_hessian_trace, dense_jacobians


def _network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 5), nn.LayerNorm(5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 2)
    ).eval()


@pytest.fixture
def inputs():
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(1))


def _assert_equal(found, expected):
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-12, err_msg=name)
    assert list(found["parameter"].values) == list(expected["parameter"].values)


@pytest.mark.parametrize("times", [1, 2])
def test_data_parallel_is_the_network_inside(inputs, times):
    network = wrapped = _network().double()
    for _ in range(times):
        wrapped = nn.DataParallel(wrapped)
    expected = assert_as_dense(network, inputs)
    _assert_equal(flatness.measure(wrapped.eval(), inputs.double()), expected)
    middle = flatness.measure(wrapped, inputs.double(), layer="0")
    assert middle.sizes["output"] == 5


def test_the_curvature_of_data_parallel(inputs):
    network, inputs = _network().double(), inputs.double()
    targets = torch.ones(4, 2, dtype=torch.float64)
    found = flatness.curvature(nn.DataParallel(network).eval(), inputs, targets)
    expected = flatness.curvature(network, inputs, targets)
    np.testing.assert_allclose(found["residual_curvature"], expected["residual_curvature"])


def test_data_parallel_inside_of_a_network(inputs):
    """As torchvision's example has it for its older networks."""
    network = _network()
    assert_as_dense(nn.Sequential(nn.DataParallel(network), nn.Linear(2, 3)), inputs)


def test_made_in_inference_mode(inputs):
    with torch.inference_mode():
        network = _network().double()
    expected = flatness.measure(_network().double(), inputs.double())
    _assert_equal(flatness.measure(network, inputs.double()), expected)
    assert all(parameter.is_inference() for parameter in network.parameters())


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.network, self.reentrant = _network(), reentrant

    def forward(self, x):
        return checkpoint(self.network, x, use_reentrant=self.reentrant)


def test_checkpoints_of_frozen_weights(inputs):
    network = Checkpointed(False).requires_grad_(False)
    J, K = dense_jacobians(copy.deepcopy(network), inputs)
    found = flatness.measure(network.double().eval(), inputs.double())
    np.testing.assert_allclose(found["singular_value"], torch.linalg.svdvals(J), rtol=1e-9)
    for name, rows in K.items():
        np.testing.assert_allclose(
            found["parameter_gradient_sq_norm"].sel(parameter=name),
            rows.square().sum((1, 2)),
            rtol=1e-9,
        )
    assert not any(parameter.requires_grad for parameter in network.parameters())


def _program(network, inputs, samples="any"):
    sizes = {0: torch.export.Dim("samples")} if samples == "any" else None
    return torch.export.export(network, (inputs,), dynamic_shapes=(sizes,))


@pytest.mark.parametrize("as_module", [False, True])
def test_an_exported_program(inputs, as_module):
    network = _network().double()
    program = _program(network, inputs.double())
    found = flatness.measure(program.module() if as_module else program, inputs.double())
    J, K = dense_jacobians(network, inputs)
    np.testing.assert_allclose(found["singular_value"], torch.linalg.svdvals(J), rtol=1e-9)
    assert list(found["parameter"].values) == list(K)
    for name, rows in K.items():
        np.testing.assert_allclose(
            found["parameter_gradient_sq_norm"].sel(parameter=name),
            rows.square().sum((1, 2)),
            rtol=1e-9,
        )


def test_an_exported_program_within_a_network(inputs):
    network, last = _network().double(), nn.Linear(2, 3).double()
    whole = nn.Sequential(_program(network, inputs.double()).module(), last)
    for module in (whole, last):
        module.training = False
    found = flatness.measure(whole, inputs.double())
    expected = flatness.measure(nn.Sequential(network, last).eval(), inputs.double())
    np.testing.assert_allclose(found["singular_value"], expected["singular_value"], rtol=1e-10)
    whole.training = True
    with pytest.raises(MeasurementError, match=r"module 'Sequential' is in training mode"):
        flatness.measure(whole, inputs.double())


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(6), nn.Dropout(0.5)])
def test_a_program_that_was_exported_in_training_mode(inputs, layer):
    network = nn.Sequential(layer, nn.Linear(6, 2)).train()
    with warnings.catch_warnings(action="ignore"):
        program = _program(network, inputs)
    with pytest.raises(MeasurementError, match=r"^model: was exported in training mode \(\w*"):
        flatness.measure(program, inputs[:1])
    flatness.measure(_program(network.eval(), inputs), inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("of", [torch.bfloat16, torch.float16])
def test_a_copy_in_another_dtype(inputs, of, dtype):
    network = _network().to(of)
    before = copy.deepcopy(network.state_dict())
    found = flatness.measure(network, inputs.to(of), dtype=dtype)
    by_hand = copy.deepcopy(network).to(dtype)
    _assert_equal(found, flatness.measure(by_hand, inputs.to(of).to(dtype)))
    assert found.attrs["dtype"] == str(dtype).removeprefix("torch.")
    if dtype == torch.float64:
        assert_as_dense(by_hand, inputs.to(of))
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == of
        assert torch.equal(tensor, before[name])


def test_a_copy_of_a_network_of_several_dtypes(inputs):
    network = _network().bfloat16()
    network[1].float()
    found = flatness.measure(network, inputs.bfloat16(), dtype=torch.float64)
    by_hand = copy.deepcopy(network).double()
    _assert_equal(found, flatness.measure(by_hand, inputs.bfloat16().double()))


def test_a_forward_that_holds_on_to_its_modules(inputs):
    """A copy of the module would be called with the weights of the original."""
    network = _network().bfloat16()
    layer = network[0]
    layer.forward = lambda x: nn.functional.linear(x, layer.weight, layer.bias)
    found = flatness.measure(network, inputs.bfloat16(), dtype=torch.float64)
    plain = _network().bfloat16().double()
    _assert_equal(found, flatness.measure(plain, inputs.bfloat16().double()))


def test_complex_buffers_stay_complex(inputs):
    class Phase(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 2)
            self.register_buffer("phase", torch.tensor([1 + 2j, 3 - 1j]))

        def forward(self, x):
            return (self.layer(x) * self.phase).imag

    torch.manual_seed(0)
    network = Phase().eval()
    network.layer.bfloat16()
    found = flatness.measure(network, inputs.bfloat16(), dtype=torch.float64)
    weight = network.layer.weight.detach().double()
    J = torch.tensor([[2.0], [-1.0]]).double() * weight
    np.testing.assert_allclose(found["singular_value"][0], torch.linalg.svdvals(J), rtol=1e-10)


def test_tokens_of_a_network_of_another_dtype():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(6, 2)).bfloat16().eval()
    tokens = torch.randint(7, (4, 2))
    found = flatness.measure(network, tokens, start="0", dtype=torch.float64)
    by_hand = copy.deepcopy(network).double()
    _assert_equal(found, flatness.measure(by_hand, tokens, start="0"))


def test_the_curvature_of_a_copy(inputs):
    network = _network().bfloat16()
    targets = torch.ones(4, 2).bfloat16()
    options = {"dtype": torch.float64}
    primitives = flatness.measure(network, inputs.bfloat16(), **options)
    curved = flatness.curvature(
        network, inputs.bfloat16(), targets, exact_products=10**6, **options
    )
    found = float(flatness.quantities(primitives.merge(curved))["hessian_trace"])
    wide = inputs.bfloat16().double()
    expected = dense_hessian_trace(
        network, wide, lambda output: (output - 1).square().sum() / (2 * len(inputs))
    )
    assert found == pytest.approx(expected, rel=1e-8)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Bilinear(6, 6, 2)

    def forward(self, x, y):
        return self.layer(x, y)


def _scripted(inputs, trace=False):
    with warnings.catch_warnings(action="ignore"):
        return torch.jit.trace(_network(), inputs) if trace else torch.jit.script(_network())


REFUSED = {
    "TorchScript": (
        lambda x: (_scripted(x), x, {}),
        r"^model: is TorchScript, .*load_state_dict\(SCRIPT\.state_dict\(\)\)",
    ),
    "traced": (lambda x: (_scripted(x, trace=True), x, {}), r"^model: is TorchScript, "),
    "a part in TorchScript": (
        lambda x: (nn.Sequential(nn.Identity(), _scripted(x)).eval(), x, {}),
        r"^model: module '1' is TorchScript, ",
    ),
    "exported for one number of samples": (
        lambda x: (_program(_network(), x[:2], samples="two"), x, {}),
        r"Guard failed.*takes any number of samples\. Export it with dynamic_shapes=",
    ),
    "bfloat16": (
        lambda x: (_network().bfloat16(), x.bfloat16(), {}),
        r"^inputs: torch\.bfloat16 .* Give dtype=torch\.float32 to measure a copy in that dtype",
    ),
    "half": (lambda x: (_network().half(), x.half(), {}), r"^inputs: torch\.float16 .*dtype=torch"),
    "half, but not the inputs": (
        lambda x: (_network().half(), x, {}),
        r"^inputs: torch\.float32 on cpu, but parameter '0\.weight' is torch\.float16 .*dtype=",
    ),
    "converted to half": (
        lambda x: (_network(), x, {"dtype": torch.float16}),
        r"^dtype = torch\.float16\. Allowed: torch\.float32 or torch\.float64\.",
    ),
    "checkpoints of another dtype": (
        lambda x: (Checkpointed(False).bfloat16().eval(), x, {"dtype": torch.float32}),
        r"same dtype.*\. Allowed: .*copy\.deepcopy\(model\)\.float\(\), and switch",
    ),
    "no network": (
        lambda x: (3, x, {"dtype": torch.float32}),
        r"^model: a int\. Allowed: a torch\.nn",
    ),
    "reentrant checkpoints": (
        lambda x: (Checkpointed(True).eval(), x, {}),
        r"use_reentrant=True.* Allowed: checkpoints with use_reentrant=False, or none\. Pass that",
    ),
    "two inputs": (
        lambda x: (Two().eval(), x, {}),
        r"missing 1 required positional argument: 'y'\)\. Allowed: a network of one tensor\. Wrap",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_what_helps(inputs, case):
    make, message = REFUSED[case]
    model, given, options = make(inputs)
    with pytest.raises(MeasurementError) as caught:
        flatness.measure(model, given, **options)
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)
