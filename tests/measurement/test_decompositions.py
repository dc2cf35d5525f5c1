"""Singular values and norms against full decompositions in float64."""

import numpy as np
import pytest
import torch

import flatness
from flatness.measurement.decompositions import singular_values, spectral_norms
from flatness.measurement.operator_norm import matrix_norm
from flatness.measurement.stacking import Stack

WIDE, TALL, SQUARE = (10, 300), (30, 12), (20, 20)


def _with_spectrum(shape, smallest, dtype):
    """Four matrices whose singular values fall evenly, on a logarithmic scale, from 1."""
    generator = torch.Generator().manual_seed(0)
    left, right = (
        torch.linalg.qr(torch.randn(4, size, min(shape), generator=generator).double())[0]
        for size in shape
    )
    values = torch.logspace(0, np.log10(smallest), min(shape)).double()
    return (left * values @ right.mT).to(dtype)


@pytest.mark.parametrize("shape", [WIDE, TALL, SQUARE])
@pytest.mark.parametrize(
    ("dtype", "smallest", "relative"),
    [(torch.float32, 1e-6, 1e-3), (torch.float32, 1e-3, 1e-9), (torch.float64, 1e-12, 1e-3)],
)
def test_small_singular_values_are_kept(shape, dtype, smallest, relative):
    J = _with_spectrum(shape, smallest, dtype)
    expected = torch.linalg.svdvals(J.double())
    found = singular_values(J)
    assert found.shape == J.shape[:2]
    assert found.dtype == torch.float64
    assert torch.allclose(found[:, : expected.shape[1]], expected, rtol=relative, atol=0)
    assert (found[:, expected.shape[1] :] == 0).all()


@pytest.mark.parametrize("shape", [WIDE, TALL, SQUARE])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_spectral_norms(shape, dtype, tolerance):
    J = _with_spectrum(shape, 1e-2, dtype)
    expected = torch.linalg.matrix_norm(J.double(), 2)
    assert torch.allclose(spectral_norms(J), expected, rtol=tolerance, atol=0)


def test_spectral_norm_that_overflows_is_not_a_number():
    J = torch.ones(2, 3, 5)
    J[1] *= 1e30
    norms = spectral_norms(J)
    assert norms[0] == pytest.approx(15**0.5, rel=1e-6)
    assert norms[1].isnan()


def _uniform(rows, columns):
    generator = torch.Generator().manual_seed(1)
    return (2 * torch.rand(rows, columns, generator=generator) - 1) / columns**0.5


def _near_orthogonal():
    """All singular values but one are equal: the hardest case for iterations."""
    Q = torch.linalg.qr(_uniform(120, 120).double())[0]
    Q[0] *= 1.0001
    return Q.float()


MATRICES = {
    "as initialised": _uniform(500, 784),
    "tall": _uniform(300, 100),
    "narrow": _uniform(10, 500),
    "orthogonal": torch.linalg.qr(_uniform(150, 150))[0],
    "one value stands out a little": _near_orthogonal(),
    "rank one": torch.outer(torch.arange(100.0), torch.arange(1.0, 90.0)),
    "zero": torch.zeros(80, 90),
    "tiny": 1e-30 * _uniform(100, 100),
    "huge": 1e30 * _uniform(100, 100),
}


@pytest.mark.parametrize("case", MATRICES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-9), (torch.float64, 1e-13)])
def test_matrix_norm(case, dtype, tolerance):
    if case == "orthogonal":  # float32 does not tell its singular values apart
        tolerance = max(tolerance, torch.finfo(dtype).eps)
    W = MATRICES[case].to(dtype)
    expected = float(torch.linalg.matrix_norm(W.double(), 2))
    assert matrix_norm(W) == pytest.approx(expected, rel=tolerance, abs=0)
    assert matrix_norm(W) == matrix_norm(W)


def test_a_stack_takes_gradients_of_any_memory_format():
    gradients = torch.randn(2, 3, 4, 5, 6)
    one, other = gradients[0].contiguous(memory_format=torch.channels_last), gradients[1]
    stack = Stack(one, 2, torch.float32)
    stack.put(0, one)
    stack.put(1, other)
    expected = torch.linalg.svdvals(gradients.transpose(0, 1).flatten(2))
    assert torch.allclose(torch.linalg.svdvals(stack.jacobian), expected, rtol=1e-5)


class _NowAndThenCopied(torch.autograd.Function):
    """The identity; every second gradient is a copy."""

    calls = 0

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        _NowAndThenCopied.calls += 1
        return gradient.clone() if _NowAndThenCopied.calls % 2 else gradient


@pytest.mark.parametrize("calls", [0, 1])
def test_gradients_that_are_shared_for_some_outputs_only(calls):
    class Copied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(6, 4)

        def forward(self, x):
            return self.linear(_NowAndThenCopied.apply(x))

    _NowAndThenCopied.calls = calls
    model, inputs = Copied().eval(), torch.randn(3, 6)
    measured = flatness.measure(model, inputs)
    expected = float(torch.linalg.matrix_norm(model.linear.weight.detach().double(), 2))
    assert measured["layer_operator_norm"].attrs["input_layer"] == "linear"
    assert np.allclose(measured["layer_sensitivity"], expected, rtol=1e-6)
    assert np.allclose(measured["singular_value"].isel(mode=0), expected, rtol=1e-6)
