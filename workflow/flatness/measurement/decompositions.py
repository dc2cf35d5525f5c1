"""Singular values of many small Jacobians, given all columns or groups of them.

They come from the smaller of the Gram matrices J J^T and J^T J, formed in float64. Its
eigenvalues have an error of about 1e-16 sigma_1^2, so a singular value sigma has one of
1e-16 sigma_1^2 / sigma: for every sigma above 1e-8 sigma_1 less than the rounding, 6e-8
sigma_1, of a Jacobian computed in float32. Jacobians computed in float64 have smaller
singular values than that; a QR factorisation, which squares nothing, keeps them. J J^T is a
sum over groups of columns, and the factor R of J^T that of R stacked upon further columns. The
decompositions themselves are done on the CPU, where small ones are fastest.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from flatness.errors import NotFiniteError
from flatness.measurement.fetching import fetched_by_name
from flatness.measurement.products import grams

# Bounds the float64 copies that are worked on, in bytes; they should fit into a cache.
_BLOCK_BYTES = 2**22


def singular_values(
    spectra: Mapping[str | None, "SingularValues"],
) -> dict[str | None, Tensor]:
    """The values of each; Gram matrices of one shape are fetched from a device together.

    Raises:
        MeasurementError: a Jacobian is not finite.
    """
    grams = {name: one.gram for name, one in spectra.items() if one.gram is not None}
    there = fetched_by_name(grams)
    return {name: one.values(there.get(name)) for name, one in spectra.items()}


class SingularValues:
    """Singular values of the Jacobians of n samples, (n, N, M).

    Args:
        columns: M, of all groups together.
    """

    def __init__(self, columns: int):
        self._columns = columns
        self._outputs = 0
        self._gram: Tensor | None = None
        self._factor: Tensor | None = None

    def add(self, jacobian: Tensor) -> None:
        """Take in (n, N, some columns)."""
        self._outputs = jacobian.shape[1]
        if jacobian.dtype == torch.float64:
            self._add_factor(jacobian)
        else:
            self._add_gram(jacobian)

    @property
    def gram(self) -> Tensor | None:
        """(n, N, N), or (n, M, M), where singular values come from Gram matrices."""
        return self._gram

    def values(self, gram: Tensor | None = None) -> Tensor:
        """(n, N) float64 on the CPU, decreasing; the last N - M are zero where N > M.

        Args:
            gram: `gram` on the CPU, where it has been fetched.

        Raises:
            MeasurementError: the Jacobian is not finite.
        """
        if self._gram is not None:
            gram = self._gram.cpu() if gram is None else gram
            _refuse_unless_finite(gram)
            # J J^T of groups of columns has N eigenvalues, of which N - M are rounding.
            values = torch.linalg.eigvalsh(gram).flip(1)[:, : self._columns].clamp_min(0).sqrt()
        else:
            values = torch.linalg.svdvals(self._factor)
        return torch.nn.functional.pad(values, (0, self._outputs - values.shape[1]))

    def _add_gram(self, jacobian: Tensor) -> None:
        if jacobian.shape[1] > jacobian.shape[2] == self._columns:
            jacobian = jacobian.mT
        gram = torch.cat([_gram(J) for J in _blocks(jacobian)])
        self._gram = gram if self._gram is None else self._gram + gram

    def _add_factor(self, jacobian: Tensor) -> None:
        _refuse_unless_finite(jacobian)
        if jacobian.shape[1] > jacobian.shape[2] == self._columns:
            self._factor = jacobian.cpu()
            return
        step = max(1, _BLOCK_BYTES // (8 * jacobian[0].numel()))
        found = []
        for start in range(0, len(jacobian), step):
            rows = jacobian[start : start + step].cpu().mT
            if self._factor is not None:
                rows = torch.cat([self._factor[start : start + step], rows], 1)
            found.append(torch.linalg.qr(rows, mode="r").R)
        self._factor = torch.cat(found)


def _gram(jacobian: Tensor) -> Tensor:
    """J J^T of a few samples in float64, a group of columns at a time if it is large."""
    step = max(1, _BLOCK_BYTES // (8 * jacobian.shape[0] * jacobian.shape[1]))
    if step >= jacobian.shape[2]:
        return grams(jacobian.double())
    parts = (grams(columns.double()) for columns in jacobian.split(max(step, 64), 2))
    return sum(parts)


def _blocks(jacobian: Tensor) -> tuple[Tensor, ...]:
    """The samples in groups whose float64 copies stay small."""
    return jacobian.split(max(1, _BLOCK_BYTES // (8 * max(jacobian[0].numel(), 1))))


def _refuse_unless_finite(values: Tensor) -> None:
    if not values.isfinite().all():
        raise NotFiniteError(
            "model: its input Jacobian holds values that are not finite. Allowed: a network that "
            "is differentiable at the samples. Look for overflow, or for roots and quotients at 0."
        )
