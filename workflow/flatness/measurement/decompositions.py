"""Singular values and spectral norms of many small Jacobians.

Both come from the smaller of the Gram matrices J J^T and J^T J, formed in float64. Its
eigenvalues have an error of about 1e-16 sigma_1^2, so a singular value sigma has one of
1e-16 sigma_1^2 / sigma: for every sigma above 1e-8 sigma_1 less than the rounding, 6e-8
sigma_1, of a Jacobian computed in float32. Jacobians computed in float64 have smaller
singular values than that; a QR factorisation, which squares nothing, keeps them. The
decompositions themselves are done on the CPU, where small ones are fastest.
"""

import torch
from torch import Tensor

from flatness.errors import MeasurementError
from flatness.measurement.products import grams

# Bounds the float64 copies that are worked on, in bytes; they should fit into a cache.
_BLOCK_BYTES = 2**22


def singular_values(jacobian: Tensor) -> Tensor:
    """Singular values of each sample's input Jacobian.

    Args:
        jacobian: (n, N, M).

    Returns:
        (n, N) float64 on the CPU, decreasing; the square roots of the N eigenvalues of
        J J^T, so the last N - M are zero where N > M.

    Raises:
        MeasurementError: the Jacobian is not finite.
    """
    outputs = jacobian.shape[1]
    if jacobian.dtype == torch.float64:
        _refuse_unless_finite(jacobian)
        values = torch.cat([_by_orthogonalising(J.cpu()) for J in _blocks(jacobian)])
    else:
        gram = torch.cat([grams(_wide(J).double()) for J in _blocks(jacobian)]).cpu()
        _refuse_unless_finite(gram)
        values = torch.linalg.eigvalsh(gram).flip(1).clamp_min(0).sqrt()
    return torch.nn.functional.pad(values, (0, outputs - values.shape[1]))


def spectral_norms(jacobian: Tensor) -> Tensor:
    """The largest singular value of each sample's Jacobian.

    The Gram matrix in the Jacobian's dtype keeps it to that precision.

    Args:
        jacobian: (n, N, M).

    Returns:
        (n,) float64 on the CPU; not a number where a square is not finite.
    """
    J = _wide(jacobian)
    gram = (J @ J.mT).to("cpu", torch.float64)
    finite = gram.isfinite().flatten(1).all(1)
    if not finite.all():
        gram = gram.where(finite[:, None, None], 0)
    largest = torch.linalg.eigvalsh(gram)[:, -1].clamp_min(0).sqrt()
    return largest.where(finite, torch.nan)


def _by_orthogonalising(jacobian: Tensor) -> Tensor:
    if jacobian.shape[1] <= jacobian.shape[2]:
        _, jacobian = torch.linalg.qr(jacobian.mT, mode="r")
    return torch.linalg.svdvals(jacobian)


def _wide(jacobian: Tensor) -> Tensor:
    """With no more rows than columns, so that the product with its transpose is small."""
    return jacobian if jacobian.shape[1] <= jacobian.shape[2] else jacobian.mT


def _blocks(jacobian: Tensor) -> tuple[Tensor, ...]:
    """The samples in groups whose float64 copies stay small."""
    return jacobian.split(max(1, _BLOCK_BYTES // (8 * jacobian[0].numel())))


def _refuse_unless_finite(values: Tensor) -> None:
    if not values.isfinite().all():
        raise MeasurementError(
            "model: its input Jacobian holds values that are not finite. Allowed: a network that "
            "is differentiable at the samples. Look for overflow, or for roots and quotients at 0."
        )
