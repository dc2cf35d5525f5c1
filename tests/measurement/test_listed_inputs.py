"""Each kind of bad or borderline input by itself, in float32 and float64."""

import pytest
import torch
from torch import nn

import flatness
from flatness.errors import MeasurementError
from tests.measurement.reference import dense_jacobians

DTYPES = (torch.float32, torch.float64)


def _mlp(inputs: int = 3, outputs: int = 2) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, 4), nn.Tanh(), nn.Linear(4, outputs)).eval()


class _Then(nn.Module):
    """A network and a function of its output."""

    def __init__(self, function):
        super().__init__()
        self.network, self.function = _mlp(), function

    def forward(self, x):
        return self.function(self.network(x))


def _with(value: float) -> torch.Tensor:
    inputs = torch.ones(4, 3)
    inputs[2, 1] = value
    return inputs


# name: (network, inputs, what the line says)
REFUSED = {
    "wrong shape": (lambda: _mlp(), torch.ones(4, 5), "cannot be called or differentiated"),
    "no sample axis": (lambda: _mlp(), torch.ones(3), r"shape \(3,\)"),
    "empty batch": (lambda: _mlp(), torch.ones(0, 3), "at least one sample"),
    "inputs of no entries": (lambda: _mlp(), torch.ones(4, 0), "cannot be called"),
    "integers": (lambda: _mlp(), torch.ones(4, 3, dtype=torch.int64), "int64"),
    "truth values": (lambda: _mlp(), torch.ones(4, 3, dtype=torch.bool), "bool"),
    "complex numbers": (
        lambda: _mlp().to(torch.complex64),
        _with(1).cfloat(),
        "complex64. Allowed",
    ),
    "half precision": (lambda: _mlp().half(), torch.ones(4, 3).half(), "float16 cannot"),
    "other floats": (lambda: _mlp().bfloat16(), torch.ones(4, 3).bfloat16(), "bfloat16 cannot"),
    "quantised": (
        lambda: _mlp(),
        torch.quantize_per_tensor(_with(1), 1, 0, torch.quint8),
        "quint8",
    ),
    "sparse": (lambda: _mlp(), torch.eye(4, 3).to_sparse(), "sparse"),
    "nested": (lambda: _mlp(), torch.nested.nested_tensor([torch.ones(3)] * 2), "nested"),
    "nan": (lambda: _mlp(), _with(float("nan")), "sample 2 holds values that are not finite"),
    "infinity": (lambda: _mlp(), _with(float("inf")), "sample 2 holds values that are not"),
    "minus infinity": (lambda: _mlp(), _with(-float("inf")), "sample 2 holds values that are not"),
    "train mode": (lambda: _mlp().train(), torch.ones(4, 3), "is in training mode"),
    "inputs on meta": (lambda: _mlp(), torch.ones(4, 3, device="meta"), "on meta"),
    "parameters on meta": (lambda: _mlp().to("meta"), torch.ones(4, 3), "on meta"),
    "both on meta": (lambda: _mlp().to("meta"), torch.ones(4, 3, device="meta"), "on meta"),
    "one parameter on meta": (
        lambda: nn.Sequential(_mlp(), nn.Linear(2, 2, device="meta")).eval(),
        torch.ones(4, 3),
        "1.weight: torch.float32 on meta",
    ),
    "parameters without values": (
        lambda: nn.Sequential(_mlp(), nn.LazyLinear(2)).eval(),
        torch.ones(4, 3),
        "1.weight: torch.float32 on cpu without its values",
    ),
    "output without samples": (lambda: _Then(lambda z: z.mT), torch.ones(4, 3), r"shape \(2, 4\)"),
    "output of rank 3": (lambda: _Then(lambda z: z[:, :, None]), torch.ones(4, 3), r"\(4, 2, 1\)"),
    "output of no entries": (lambda: _Then(lambda z: z[:, :0]), torch.ones(4, 3), r"\(4, 0\)"),
    "one number": (lambda: _Then(lambda z: z.sum()), torch.ones(4, 3), r"shape \(\)"),
    "output that is no tensor": (lambda: _Then(lambda z: [z]), torch.ones(4, 3), "list"),
    "complex output": (lambda: _Then(lambda z: z.cfloat()), torch.ones(4, 3), "complex64"),
    "output on meta": (lambda: _Then(lambda z: z.to("meta")), torch.ones(4, 3), "meta"),
    "output of another dtype": (lambda: _Then(lambda z: z.half()), torch.ones(4, 3), "float16"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line(case):
    network, inputs, message = REFUSED[case]
    with pytest.raises(MeasurementError, match=message) as caught:
        flatness.measure(network().eval() if case != "train mode" else network(), inputs)
    assert "\n" not in str(caught.value)
    assert "Allowed: " in str(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_network_and_inputs_on_different_devices_are_refused():
    with pytest.raises(
        MeasurementError, match=r"on cuda:0, but parameter '0\.weight' is .* on cpu"
    ):
        flatness.measure(_mlp(), torch.ones(4, 3, device="cuda"))


# name: (network, inputs)
MEASURED = {
    "one sample": (lambda: _mlp(), torch.ones(1, 3)),
    "zero inputs": (lambda: _mlp(), torch.zeros(4, 3)),
    "one zero input": (lambda: _mlp(), torch.eye(4, 3)),
    "more outputs than input entries": (lambda: _mlp(3, 7), torch.ones(4, 3)),
    "one input entry": (lambda: _mlp(1, 7), torch.ones(4, 1)),
    "one output": (lambda: _mlp(3, 1), torch.ones(4, 3)),
    "equal samples": (lambda: _mlp(), torch.ones(4, 3)),
    "tiny inputs": (lambda: _mlp(), torch.full((4, 3), 1e-30)),
    "huge inputs": (lambda: _mlp(), torch.full((4, 3), 1e30)),
    "inputs that are a view": (lambda: _mlp(), torch.arange(24.0).view(3, 8).T[::2]),
    "inputs that require gradients": (lambda: _mlp(), torch.ones(4, 3, requires_grad=True)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", MEASURED)
def test_measured_exactly(case, dtype):
    network, inputs = MEASURED[case]
    network, inputs = (
        network().to(dtype),
        inputs.detach().to(dtype).requires_grad_(inputs.requires_grad),
    )
    measured = flatness.measure(network, inputs)
    J, K = dense_jacobians(network, inputs.detach())
    sigma = torch.linalg.svdvals(J)
    eps = 50 * torch.finfo(dtype).eps
    found = torch.from_numpy(measured["singular_value"].values)
    assert found.shape == (len(inputs), J.shape[1])
    assert torch.allclose(found[:, : sigma.shape[1]], sigma, rtol=0, atol=eps * float(sigma.max()))
    # A map from M entries has at most M singular values that are not zero.
    assert float(found[:, sigma.shape[1] :].abs().sum()) <= eps * float(sigma.max())
    for name, jacobian in K.items():
        exact = jacobian.square().sum((1, 2))
        got = torch.from_numpy(measured["parameter_gradient_sq_norm"].sel(parameter=name).values)
        assert torch.allclose(got, exact, rtol=eps, atol=0), name
    assert torch.allclose(
        torch.from_numpy(measured["input_norm"].values),
        inputs.detach().double().norm(dim=1),
        rtol=eps,
        atol=0,
    )
    quantities = flatness.quantities(measured)
    for name in ("sharpness", "mean_input_gradient_sq_norm", "mls"):
        assert quantities[name].notnull(), name


@pytest.mark.parametrize("layer", ["0", "1"])
def test_a_middle_layer_of_one_sample_with_more_outputs_than_inputs(layer):
    measured = flatness.measure(_mlp(3, 7), torch.zeros(1, 3), layer=layer)
    assert measured.sizes["mode"] == 4
    assert (measured["singular_value"][0, 3:] < 1e-6).all()
