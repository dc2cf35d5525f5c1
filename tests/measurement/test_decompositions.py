"""Singular values and norms of matrices against full decompositions in float64."""

import numpy as np
import pytest
import torch
from torch import Tensor

from flatness.errors import MeasurementError
from flatness.measurement import decompositions
from flatness.measurement.decompositions import SingularValues
from flatness.measurement.matrix_norm import matrix_norm

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


def _singular_values(jacobian: Tensor, sizes: list[int]) -> Tensor:
    """With columns in groups of these sizes, the last one of those that are left."""
    found = SingularValues(jacobian.shape[2])
    for columns in jacobian.split([*sizes, jacobian.shape[2] - sum(sizes)], 2):
        found.add(columns)
    return found.values()


# At once, in groups with fewer columns than rows and with more, and one by one at first.
@pytest.mark.parametrize("sizes", [[], [5], [1, 1, 9]])
@pytest.mark.parametrize("shape", [WIDE, TALL, SQUARE])
@pytest.mark.parametrize(
    ("dtype", "smallest", "relative"),
    [(torch.float32, 1e-6, 1e-3), (torch.float32, 1e-3, 1e-9), (torch.float64, 1e-12, 1e-3)],
)
def test_small_singular_values_are_kept(shape, dtype, smallest, relative, sizes):
    J = _with_spectrum(shape, smallest, dtype)
    expected = torch.linalg.svdvals(J.double())
    found = _singular_values(J, sizes)
    assert found.shape == J.shape[:2]
    assert found.dtype == torch.float64
    assert torch.allclose(found[:, : expected.shape[1]], expected, rtol=relative, atol=0)
    assert (found[:, expected.shape[1] :] == 0).all()


@pytest.mark.parametrize("sizes", [[], [5], [1, 1, 9]])
@pytest.mark.parametrize("shape", [WIDE, TALL, SQUARE])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_the_largest_is_the_spectral_norm(shape, dtype, tolerance, sizes):
    J = _with_spectrum(shape, 1e-2, dtype)
    expected = torch.linalg.matrix_norm(J.double(), 2)
    assert torch.allclose(_singular_values(J, sizes)[:, 0], expected, rtol=tolerance, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sizes", [[], [5]])
@pytest.mark.parametrize("shape", [WIDE, TALL, SQUARE])
def test_blocks_that_are_worked_on_do_not_change_the_values(shape, sizes, dtype, monkeypatch):
    J = _with_spectrum(shape, 1e-2, dtype)
    expected = _singular_values(J, sizes)
    monkeypatch.setattr(decompositions, "_BLOCK_BYTES", 1)
    assert torch.allclose(_singular_values(J, sizes), expected, rtol=1e-12, atol=1e-14)


def test_a_norm_whose_square_is_no_float32_number():
    J = torch.ones(2, 3, 5)
    J[1] *= 1e30
    norms = _singular_values(J, [])[:, 0]
    assert torch.allclose(norms, 15**0.5 * torch.tensor([1, 1e30]).double(), rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("sizes", [[], [2]])
def test_values_that_are_not_finite_are_refused(dtype, wrong, sizes):
    J = torch.ones(2, 3, 5, dtype=dtype)
    J[1, 2, 4] = wrong
    with pytest.raises(MeasurementError, match="input Jacobian holds values that are not finite"):
        _singular_values(J, sizes)


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
