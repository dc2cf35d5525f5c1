"""Steps of optimisers that remember: SGD with momentum or weight decay, and Adam.

What they remember lies in tensors on the device that are changed in place, so that iterations can
be replayed as a CUDA graph and a run goes on with the same bits after a kill.

torch's own keep no such promise everywhere: its Adam reads the number of steps as a Python number
where the weights are on no GPU, which a recorded iteration would repeat for ever. Tests compare
each step with torch's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Optimiser(Protocol):
    """Changes weights by their gradients; `state` is everything that it remembers, by name."""

    state: dict[str, Tensor]

    def step(self, gradients: Sequence[Tensor | None]) -> None:
        """Change the weights in place; those without a gradient stay as they are."""


class _Sgd:
    """g <- g + d w;  m <- mu m + g;  w <- w - r m, or w <- w - r (g + mu m) for Nesterov's."""

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        learning_rate: float,
        *,
        momentum: float,
        nesterov: bool,
        weight_decay: float,
    ):
        self._weights, self._rate = list(weights.values()), learning_rate
        self._momentum, self._nesterov, self._decay = momentum, nesterov, weight_decay
        # From zero, the first step is that of the gradient alone.
        self.state = _zeros("momentum", weights) if momentum else {}

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None]) -> None:
        remembered = list(self.state.values()) or [None] * len(self._weights)
        for weight, gradient, m in zip(self._weights, gradients, remembered, strict=True):
            if gradient is None:
                continue
            if self._decay:
                gradient = gradient.add(weight, alpha=self._decay)
            if m is not None:
                m.mul_(self._momentum).add_(gradient)
                gradient = gradient.add(m, alpha=self._momentum) if self._nesterov else m
            weight.add_(gradient, alpha=-self._rate)


class _Adam:
    """Adam, with decay d added to the gradient, or for `decoupled` to the weight (AdamW).

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;
    w <- w - r m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + e) in step t = 1, 2, ...
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        learning_rate: float,
        *,
        beta1: float,
        beta2: float,
        epsilon: float,
        weight_decay: float,
        decoupled: bool,
    ):
        self._weights, self._rate = list(weights.values()), learning_rate
        self._beta1, self._beta2, self._epsilon = beta1, beta2, epsilon
        self._decay, self._decoupled = weight_decay, decoupled
        device = self._weights[0].device
        # float64, in which powers of beta2 keep their digits over a million steps.
        step = torch.zeros((), dtype=torch.float64, device=device)
        self._m, self._v = _zeros("mean", weights), _zeros("mean_of_squares", weights)
        self.state = {"step": step} | self._m | self._v

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None]) -> None:
        step = self.state["step"].add_(1)
        of_mean = self._rate / (1 - self._beta1**step)
        of_squares = (1 - self._beta2**step).sqrt()
        each = zip(self._weights, gradients, self._m.values(), self._v.values(), strict=True)
        for weight, gradient, m, v in each:
            if gradient is None:
                continue
            if self._decay and self._decoupled:
                weight.mul_(1 - self._rate * self._decay)
            elif self._decay:
                gradient = gradient.add(weight, alpha=self._decay)
            m.lerp_(gradient, 1 - self._beta1)
            v.mul_(self._beta2).addcmul_(gradient, gradient, value=1 - self._beta2)
            weight.sub_(m * of_mean / (v.sqrt() / of_squares + self._epsilon))


_KINDS: dict[str, Callable[..., Optimiser]] = {"sgd": _Sgd, "adam": _Adam}


def make_optimiser(
    optimiser: Mapping[str, Any], network: nn.Module, learning_rate: float
) -> Optimiser:
    """The optimiser of those parameters of a network that are trained.

    Args:
        optimiser: `name` and options, as in the configuration.
        network: on its device, laid out in memory as it stays.
        learning_rate: constant step size.
    """
    options = dict(optimiser)
    weights = {name: w for name, w in network.named_parameters() if w.requires_grad}
    return _KINDS[options.pop("name")](weights, learning_rate, **options)


def _zeros(what: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{what}/{name}": torch.zeros_like(weight) for name, weight in weights.items()}
