"""Iterations of plain SGD on tensors that are resident on the device."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Sgd:
    """Does one update, w <- w - r dL/dw, for each batch it is called with.

    Args:
        network: in training mode; parameters that need no gradient stay as they are.
        loss: of outputs (B, N) and the targets of the same batch.
        learning_rate: the step size r.
        inputs: (samples, *input_shape), on the network's device and in its memory format.
        targets: (samples, ...), on the same device.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        learning_rate: float,
        inputs: Tensor,
        targets: Tensor,
    ):
        self.network, self.loss, self.learning_rate = network, loss, learning_rate
        self.inputs, self.targets = inputs, targets
        self._weights = [weight for weight in network.parameters() if weight.requires_grad]
        # Selecting from rows keeps the memory format and is faster than from images.
        self._rows = inputs.as_strided((len(inputs), inputs[0].numel()), (inputs.stride(0), 1))

    def __call__(self, batches: Tensor) -> Tensor:
        """Do one iteration for each row of `batches`, without waiting for the device.

        Args:
            batches: (iterations, B) int64 on the device, positions of samples.

        Returns:
            (iterations,) on the device, the loss of each batch before its update.
        """
        return torch.stack([self._iterate(batch) for batch in batches])

    def _iterate(self, batch: Tensor) -> Tensor:
        shape, strides = self.inputs.shape[1:], self.inputs.stride()
        inputs = self._rows.index_select(0, batch).as_strided((len(batch), *shape), strides)
        loss = self.loss(self.network(inputs), self.targets.index_select(0, batch))
        gradients = torch.autograd.grad(loss, self._weights, materialize_grads=True)
        with torch.no_grad():
            torch._foreach_add_(self._weights, gradients, alpha=-self.learning_rate)
        return loss.detach()
