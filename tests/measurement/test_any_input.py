"""Whatever `measure` is given: exact numbers, or one line that names what is wrong."""

import numpy as np
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from torch import nn

import flatness
from flatness.errors import MeasurementError
from tests.measurement.reference import dense_jacobians

_SPECIAL = [0.0, -0.0, 1e-30, 1e30, float("nan"), float("inf"), -float("inf")]


class _Returns(nn.Module):
    """A network whose output is of any rank, or no tensor."""

    def __init__(self, how):
        super().__init__()
        self.linear, self.how = nn.Linear(3, 4), how

    def forward(self, x):
        z = self.linear(x)
        return {
            "rank 1": lambda: z.sum(1),
            "rank 3": lambda: z[:, :, None],
            "tuple": lambda: (z, z),
            "mean of samples": lambda: z - z.mean(0),
            "integers": lambda: z.long(),
            "no gradient": lambda: z.detach(),
            "constant": lambda: torch.zeros(len(x), 2),
            "fewer samples": lambda: z[1:],
            "random": lambda: z + torch.rand(()),
            "fails": lambda: z @ z,
        }[self.how]()


HOWS = (
    "rank 1",
    "rank 3",
    "tuple",
    "mean of samples",
    "integers",
    "no gradient",
    "constant",
    "fewer samples",
    "random",
    "fails",
)


@st.composite
def _networks(draw):
    """A small network and the shape that it takes, of one sample."""
    kind = draw(st.sampled_from(["linear", "mlp", "convolution", "norm", "returns"]))
    bias = draw(st.booleans())
    N = draw(st.integers(1, 6))
    if kind == "returns":
        return _Returns(draw(st.sampled_from(HOWS))), (3,)
    if kind == "linear":
        return nn.Linear(3, N, bias=bias), (3,)
    if kind == "mlp":
        hidden = draw(st.integers(1, 4))
        activation = draw(st.sampled_from([nn.Tanh(), nn.ReLU(), nn.GELU()]))
        first, last = nn.Linear(3, hidden, bias=bias), nn.Linear(hidden, N)
        return nn.Sequential(first, activation, last), (3,)
    if kind == "convolution":
        padding = draw(st.integers(0, 2))
        layer = nn.Conv2d(2, 3, 2, padding=padding, bias=bias)
        side = 4 + 2 * padding - 1
        return nn.Sequential(layer, nn.Flatten(), nn.Linear(3 * side**2, N)), (2, 4, 4)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, N)), (3,)


@settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_network_and_inputs_give_numbers_or_one_line(data):
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 3)))
    model, shape = draw(_networks())
    model.train(draw(st.sampled_from([False, False, False, True])))
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.float16, torch.int64]))
    inputs_dtype = draw(st.sampled_from([dtype, dtype, dtype, torch.float64]))
    samples = draw(st.sampled_from([0, 1, 2, 5]))
    if draw(st.booleans()):
        shape = draw(st.sampled_from([shape, (3,), (4,), (), (2, 4, 4), (3, 3)]))
    inputs = torch.rand(samples, *shape).to(inputs_dtype)
    if inputs.numel() and inputs_dtype.is_floating_point and draw(st.booleans()):
        inputs.view(-1)[0] = draw(st.sampled_from(_SPECIAL))
    if dtype.is_floating_point:
        model = model.to(dtype)
    chunk_size = draw(st.sampled_from([100, 2, 1, 0, -1]))
    layer = draw(st.sampled_from([None, None, "", "0", "absent"]))
    try:
        measured = flatness.measure(model, inputs, layer=layer, chunk_size=chunk_size)
    except MeasurementError as error:
        message = str(error)
    else:
        message = ""
    if message:
        event("refused")
        assert "\n" not in message
        assert "Allowed" in message
        return
    event("measured")
    assert measured.sizes["sample"] == samples
    if layer is None:
        J, K = dense_jacobians(model, inputs)
        sigma = torch.linalg.svdvals(J)
        found = measured["singular_value"].values[:, : sigma.shape[1]]
        eps = torch.finfo(inputs.dtype).eps
        assert np.allclose(found, sigma, rtol=100 * eps, atol=100 * eps * float(sigma.max()))
        for name, jacobian in K.items():
            exact = jacobian.square().sum((1, 2))
            got = measured["parameter_gradient_sq_norm"].sel(parameter=name)
            assert np.allclose(got, exact, rtol=1e-4 if dtype == torch.float32 else 1e-9), name
