"""The spectral norm of a matrix, exact to the resolution of its dtype.

Lanczos iterations in the dtype of W give the leading vector u, and ||u^T W|| / ||u||, formed in
float64, has an error of the second order in that of u.
"""

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor

# Below this size a full decomposition is as fast as Lanczos iterations.
_SMALL = 64


def matrix_norm(weight: Tensor, start: Tensor | None = None) -> float:
    """||W||_2 of a matrix.

    The relative error is at most the resolution of its dtype; for float32 about 1e-10, unless
    the largest singular values agree to within that resolution.

    Args:
        weight: (rows, columns) of any floating dtype.
        start: (rows,) or (columns,), whichever is fewer, rows for a square matrix: where
            iterations start, for instance `leading_vector` of a weight that was a little
            different. Without it they start from a fixed random vector.
    """
    W = _wide(weight)
    # The squares of entries stay within float32 otherwise.
    if W.shape[0] <= _SMALL or not 1e-10 < float(W.abs().max()) < 1e10:
        return float(torch.linalg.matrix_norm(W.double(), 2))
    try:
        u = leading_vector(W, start)
    except ArpackError:
        return float(torch.linalg.matrix_norm(W.double(), 2))
    return float((u @ W.double()).norm() / u.norm())


def leading_vector(weight: Tensor, start: Tensor | None = None) -> Tensor:
    """The leading singular vector on the side of fewer entries, in float64, by Lanczos iterations.

    Args:
        weight: (rows, columns), no entry above 1e10 or all below 1e-10 in size.
        start: as for `matrix_norm`.

    Raises:
        ArpackError: the iterations do not converge.
    """
    W = _wide(weight)
    rows = W.shape[0]
    # numpy's products of a matrix and a vector take half as long as torch's.
    array = np.ascontiguousarray(W.numpy())
    gram = LinearOperator((rows, rows), lambda u: array @ (array.T @ u), dtype=array.dtype)
    if start is None:
        first = np.random.default_rng(0).standard_normal(rows)
    else:
        first = start.detach().cpu().double().numpy()
    # To the resolution of the dtype: a larger residual would be enough where the largest
    # singular value stands apart, but would bound the error elsewhere.
    _, vectors = eigsh(gram, k=1, which="LA", v0=first.astype(array.dtype))
    return torch.from_numpy(vectors[:, 0].astype(np.float64))


def largest_matrix_norm(matrices: Tensor) -> float:
    """The largest ||W||_2 of some matrices (matrices, rows, columns)."""
    if min(matrices.shape[1:]) == 1:
        return float(torch.linalg.vector_norm(matrices.double().flatten(1), dim=1).max())
    if min(matrices.shape[1:]) <= _SMALL:
        return float(torch.linalg.matrix_norm(matrices.double(), 2).max())
    return max(matrix_norm(matrix) for matrix in matrices)


def _wide(weight: Tensor) -> Tensor:
    W = weight.detach().cpu()
    return W.mT if W.shape[0] > W.shape[1] else W
