"""Training losses, by the names they have in the configuration.

| name               | value for one batch of B samples with N outputs    |
| ------------------ | -------------------------------------------------- |
| mse                | sum of (f - y)^2 over batch and outputs / (B N)    |
| half_squared_error | sum of (f - y)^2 over batch and outputs / (2 B)    |
| cross_entropy      | mean over the batch of -log softmax(f)[label]      |

`half_squared_error` is the loss L of Eq. 2; `mse` is (2/N) L, so SGD on
`half_squared_error` with learning rate r is SGD on `mse` with r N / 2.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from flatness.experiment.loss_names import LossName


def half_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Half the squared Euclidean distance, averaged over the batch only."""
    return 0.5 * (output - target).square().sum() / len(output)


_VALUES: dict[LossName, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": functional.mse_loss,
    "half_squared_error": half_squared_error,
    "cross_entropy": functional.cross_entropy,
}


# What multiplies an error f - y (B, N) in the gradient of a loss that is a sum of its squares.
_FACTORS: dict[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], float]] = {
    functional.mse_loss: lambda error: 2 / error.numel(),
    half_squared_error: lambda error: 1 / len(error),
}


def closed_gradient(
    loss: Callable[[Tensor, Tensor], Tensor], output: Tensor, target: Tensor
) -> Tensor | None:
    """Gradient to the output without autograd, or None if none is known for this loss."""
    if loss not in _FACTORS or (output.shape, output.dtype) != (target.shape, target.dtype):
        return None
    error = output - target
    return error.mul_(_FACTORS[loss](error))


def loss_function(name: LossName) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss as a function of outputs (B, N) and `targets` of the same batch."""
    return _VALUES[name]


def targets(name: LossName, labels: Tensor, outputs: int, dtype: torch.dtype) -> Tensor:
    """What the loss compares outputs with: class indices, or one-hot rows (B, N)."""
    if name == "cross_entropy":
        return labels
    return functional.one_hot(labels, outputs).to(dtype)
