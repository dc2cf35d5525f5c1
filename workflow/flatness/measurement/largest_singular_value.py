"""The largest singular value of each sample's input Jacobian, without the Jacobian.

Golub-Kahan-Lanczos iterations (Golub and Kahan, 1965) with full reorthogonalisation. From a
random u_1 they make orthonormal u_i (N entries) and v_i (M entries) with

    J^T u_i = alpha_i v_i + beta_i v_{i-1},     J v_i = alpha_i u_i + beta_{i+1} u_{i+1},

so that with U = (u_1, ..., u_i), V = (v_1, ..., v_i) and the lower bidiagonal L of the alpha
and, below them, the beta,

    J^T U = V L^T,     J V = U L + beta_{i+1} u_{i+1} e_i^T.

With s the largest singular value of L, L q = s p and L^T p = s q, the vectors U p and V q have

    J^T U p = s V q,     ||J V q - s U p|| = beta_{i+1} |q_i|,

the residual. s is at most sigma_1, since it is p^T U^T J V q, and grows with every iteration;
within the residual of s lies a singular value of J, which is sigma_1 unless u_1 happens to have
nearly nothing of its vector. The error is of the order of the squared residual over the distance
to the next singular value. After min(N, M + 1) iterations s is sigma_1 and the residual is zero,
to rounding: then the u_i, or the J^T u_i, span all there is.

J^T u is one backward pass. J^T u is linear in u, so its derivative with respect to u, applied to
w, is J w: one backward pass through the backward pass.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from flatness.errors import NotFiniteError
from flatness.measurement.checks import RAISED
from flatness.measurement.frozen import FrozenNetwork
from flatness.progress.share import done

# Iterations end where the residual is this much of the value, or after so many of them.
TOLERANCE = 1e-4
ITERATIONS = 30
# A product and its adjoint must agree to this; a wrong one is wrong by more.
_AGREE = 1e-3


@dataclass(frozen=True)
class LargestSingularValues:
    """What the iterations found for n samples, on the CPU; NaN where there is a reason.

    Args:
        values: (n,) float64, s.
        residuals: (n,) float64, beta_{i+1} |q_i|, or the rounding of J's products, if it is more.
        absent: why there is none, or None.
    """

    values: Tensor
    residuals: Tensor
    absent: str | None = None


def bytes_of_vectors(inputs: int, outputs: int) -> int:
    """What the u_i and v_i of one sample take.

    Args:
        inputs: M.
        outputs: N.
    """
    return 8 * _most(inputs, outputs) * (inputs + outputs)


def largest_singular_values(
    network: FrozenNetwork, inputs: Tensor, starts: Tensor
) -> LargestSingularValues:
    """Iterate for all samples together, for each until its own residual is small.

    What a sample gets does not depend on the others, but for rounding.

    Args:
        network: the network.
        inputs: (n, *input_shape).
        starts: (n, N) float64, u_1 before it is normalised; drawn from a distribution with a
            density, so that it is orthogonal to nothing.

    Raises:
        MeasurementError: a product with the input Jacobian is not finite.

    Cost: one forward pass, and for each iteration a backward pass and one through it.
    """
    try:
        # The other kernels of attention have one derivative only.
        with sdpa_kernel(SDPBackend.MATH):
            return _iterate(_Products(network, inputs, starts), starts)
    except _NoProductError as error:
        nothing = torch.full((len(inputs),), torch.nan, dtype=torch.float64, device="cpu")
        return LargestSingularValues(nothing, nothing, str(error))


class _NoProductError(Exception):
    """J w cannot be had from the backward pass."""


@contextmanager
def _differentiating() -> Iterator[None]:
    """Say that it is the backward pass that torch cannot differentiate."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RAISED as error:
        lines = str(error).strip().splitlines()
        raise _NoProductError(
            "the network's backward pass cannot be differentiated "
            f"({type(error).__name__}: {lines[0] if lines else ''})"
        ) from error


class _Products:
    """J w and J^T u for n samples, each with vectors of its own; all in float64.

    Args:
        network: f.
        inputs: (n, *input_shape).
        example: (n, N), any u that is not zero.
    """

    def __init__(self, network: FrozenNetwork, inputs: Tensor, example: Tensor):
        self._inputs = inputs.detach().clone().requires_grad_()
        self._output = network(self._inputs)
        self.columns = inputs[0].numel()
        self.rounding = torch.finfo(self._output.dtype).eps
        self._vector = example.to(self._output, copy=True).requires_grad_()
        with _differentiating():
            (self._product,) = torch.autograd.grad(
                self._output, self._inputs, self._vector, create_graph=True, allow_unused=True
            )
        if self._product is not None and not self._product.requires_grad:
            if self._product.any():
                raise _NoProductError("the network's backward pass cannot be differentiated")
            self._product = None

    def with_transpose(self, u: Tensor) -> Tensor:
        """(n, M): J^T u of (n, N)."""
        if self._product is None:
            return u.new_zeros(len(u), self.columns)
        (product,) = torch.autograd.grad(
            self._output, self._inputs, u.to(self._output), retain_graph=True
        )
        return _finite(product.detach().flatten(1).double())

    def with_jacobian(self, w: Tensor) -> Tensor:
        """(n, N): J w of (n, M)."""
        if self._product is None:
            return w.new_zeros(self._output.shape)
        with _differentiating():
            (product,) = torch.autograd.grad(
                self._product,
                self._vector,
                w.reshape(self._product.shape).to(self._product),
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
        return _finite(product.detach().double())


def _iterate(products: _Products, starts: Tensor) -> LargestSingularValues:
    n, N = starts.shape
    most = _most(products.columns, N)
    U = starts.new_zeros(n, most, N)
    V = starts.new_zeros(n, most, products.columns)
    L = torch.zeros(n, most, most, dtype=torch.float64, device="cpu")
    values = torch.zeros(n, dtype=torch.float64, device="cpu")
    residuals = values.clone()
    going = torch.ones(n, dtype=torch.bool, device="cpu")
    _, u = _normalised(starts)
    beta = starts.new_zeros(n)
    for i in range(most):
        U[:, i] = u
        r = products.with_transpose(u)
        if i > 0:
            r -= beta[:, None] * V[:, i - 1]
            L[:, i, i - 1] = beta.cpu()
        alpha, v = _normalised(_orthogonal(r, V[:, :i]))
        V[:, i] = v
        L[:, i, i] = alpha.cpu()
        r = products.with_jacobian(v)
        if i == 0:
            _refuse_another_product(r, u, alpha)
        r -= alpha[:, None] * u
        beta, u = _normalised(_orthogonal(r, U[:, : i + 1]))
        _, s, Q = torch.linalg.svd(L[:, : i + 1, : i + 1])
        values[going] = s[going, 0]
        residual = torch.maximum(beta.cpu() * Q[:, 0, i].abs(), products.rounding * s[:, 0])
        residuals[going] = residual[going]
        done(1 / most)
        going &= residuals > TOLERANCE * values
        if not going.any():
            break
    return LargestSingularValues(values, residuals)


def _most(inputs: int, outputs: int) -> int:
    """How many iterations there are at most."""
    return min(ITERATIONS, inputs + 1, outputs)


def _normalised(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Norms (n,), and vectors of norm 1 where they are not zero."""
    norms = torch.linalg.vector_norm(vectors, dim=1)
    return norms, vectors / torch.where(norms > 0, norms, 1)[:, None]


def _orthogonal(vectors: Tensor, basis: Tensor) -> Tensor:
    """Vectors (n, m) without what lies in the span of orthonormal (n, i, m).

    Taken away twice, since after once rounding may leave some of it.
    """
    for _ in range(2 if basis.shape[1] else 0):
        parts = basis @ vectors[:, :, None]
        vectors = vectors - (basis.mT @ parts)[:, :, 0]
    return vectors


def _finite(product: Tensor) -> Tensor:
    if not product.isfinite().all():
        raise NotFiniteError(
            "model: its input Jacobian holds values that are not finite. Allowed: a network that "
            "is differentiable at the samples. Look for overflow, or for roots and quotients at 0."
        )
    return product


def _refuse_another_product(r: Tensor, u: Tensor, alpha: Tensor) -> None:
    """Compare u . (J v) with |J^T u|, of which v is the direction.

    They differ where a function with a backward of its own has one that autograd cannot
    differentiate rightly.
    """
    size = torch.maximum(alpha, torch.linalg.vector_norm(r, dim=1))
    if ((r * u).sum(1) - alpha).abs().gt(_AGREE * size).any():
        raise _NoProductError(
            "the derivative of the network's backward pass is not what it should be, as where a "
            "function has a backward of its own that autograd cannot differentiate, such as one "
            "that is once_differentiable or detaches"
        )
