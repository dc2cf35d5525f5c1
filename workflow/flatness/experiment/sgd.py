"""Iterations of SGD on tensors that are resident on the device."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from flatness.experiment.dense import DenseEndStep, dense_end
from flatness.experiment.optimisers import Optimiser

Loss = Callable[[Tensor, Tensor], Tensor]
Step = Callable[[Tensor, Tensor], Tensor]


class AutogradStep:
    """One update, w <- w - r dL/dw, of any network; see `Sgd` for the arguments."""

    def __init__(self, network: nn.Module, loss: Loss, learning_rate: float):
        self._network, self._loss, self._learning_rate = network, loss, learning_rate
        self._weights = [weight for weight in network.parameters() if weight.requires_grad]

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Update the weights once.

        Args:
            inputs: (B, *input_shape); the network may overwrite them.
            targets: (B, ...).

        Returns:
            The loss of the batch before the update, without a graph.
        """
        loss = self._loss(self._network(inputs), targets)
        gradients = torch.autograd.grad(loss, self._weights, materialize_grads=True)
        with torch.no_grad():
            torch._foreach_add_(self._weights, gradients, alpha=-self._learning_rate)
        return loss.detach()


class OptimiserStep:
    """One update of any network by an optimiser; called like an `AutogradStep`."""

    def __init__(self, network: nn.Module, loss: Loss, optimiser: Optimiser):
        self._network, self._loss, self._optimiser = network, loss, optimiser
        self._weights = [weight for weight in network.parameters() if weight.requires_grad]

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Update the weights once; see `AutogradStep.__call__`."""
        loss = self._loss(self._network(inputs), targets)
        self._optimiser.step(torch.autograd.grad(loss, self._weights, allow_unused=True))
        return loss.detach()


def fastest_step(network: nn.Module, loss: Loss, learning_rate: float) -> Step:
    """A `DenseEndStep` for a network that has a dense end, else an `AutogradStep`."""
    kind = DenseEndStep if dense_end(network)[1] else AutogradStep
    return kind(network, loss, learning_rate)


class Sgd:
    """Does one update, w <- w - r dL/dw or that of an optimiser, for each batch of a call.

    Args:
        network: in training mode; parameters that need no gradient stay as they are.
        loss: of outputs (B, N) and the targets of the same batch.
        learning_rate: the step size r.
        inputs: (samples, *input_shape), on the network's device and in its memory format.
        targets: (samples, ...), on the same device.
        optimiser: in the place of plain SGD.

    Attributes:
        make_step: makes the step from network, loss and learning rate, at the start of each call.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        learning_rate: float,
        inputs: Tensor,
        targets: Tensor,
        optimiser: Optimiser | None = None,
    ):
        self.optimiser = optimiser
        self.network, self.loss, self.learning_rate = network, loss, learning_rate
        self.inputs, self.targets = inputs, targets
        self.make_step: Callable[[nn.Module, Loss, float], Step] = fastest_step
        if optimiser is not None:
            self.make_step = lambda network, loss, rate: OptimiserStep(network, loss, optimiser)
        # Selecting from rows keeps the memory format and is faster than from images.
        self._rows = inputs.as_strided((len(inputs), inputs[0].numel()), (inputs.stride(0), 1))

    def __call__(self, batches: Tensor) -> Tensor:
        """Do one iteration for each row of `batches`, without waiting for the device.

        Args:
            batches: (iterations, B) int64 on the device, positions of samples.

        Returns:
            (iterations,) on the device, the loss of each batch before its update.
        """
        step = self.make_step(self.network, self.loss, self.learning_rate)
        return torch.stack([step(*self._samples(batch)) for batch in batches])

    def state(self) -> list[Tensor]:
        """Every tensor that an iteration may change."""
        remembered = [] if self.optimiser is None else self.optimiser.state.values()
        return [*self.network.parameters(), *self.network.buffers(), *remembered]

    def _samples(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        shape, strides = self.inputs.shape[1:], self.inputs.stride()
        inputs = self._rows.index_select(0, batch).as_strided((len(batch), *shape), strides)
        return inputs, self.targets.index_select(0, batch)
