"""Whether second derivatives can be trusted."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from flatness.errors import MeasurementError
from flatness.measurement.checks import RAISED
from flatness.measurement.frozen import FrozenNetwork
from flatness.measurement.graph import Graph, nodes_before

# Steps of finite differences in float64, of which one must agree. With the second one next to no
# kink is met on the way; functions that calculate in float32 themselves need the third one.
_STEPS = (1e-6, 1e-9, 1e-3)
# Of the size of all derivatives; a function may be wrong for one sample of a chunk only.
_TOLERANCE = 1e-3


def refuse_single_derivatives(gradients: Sequence[Tensor]) -> None:
    """Refuse functions that can be differentiated once only.

    In the graph of a gradient torch ends them with a node that raises when it is reached, and
    does not connect it to what they were computed from, so they would pass for linear ones.
    """
    for gradient in gradients:
        if any(node.name() == "torch::autograd::Error" for node in nodes_before(gradient)):
            raise MeasurementError(
                "model: holds a function that can be differentiated once only "
                "(once_differentiable). Allowed: functions with two derivatives. Write its "
                "backward with operations that autograd can differentiate, or leave it out."
            )


def refuse_wrong_derivatives(
    network: FrozenNetwork, graph: Graph, inputs: Tensor, residuals: Tensor
) -> None:
    """Compare second derivatives with differences of first ones, where they may be wrong.

    They may where the network has functions with a backward of its own: one that uses what
    it kept of the forward pass, and did not save, has a second derivative that autograd
    cannot know. Derivatives of torch's own operations are trusted. Done in float64, if the
    network can be called with that.

    Args:
        network: the network.
        graph: of a forward pass.
        inputs: (n, *input_shape), all of them, as a function may be wrong where few are.
        residuals: (n, N), the weights of the outputs.

    Raises:
        MeasurementError: they are wrong, or there are none.
    """
    own = sorted({type(n).__name__ for n in graph.nodes if isinstance(n, BackwardCFunction)})
    if not own:
        return
    try:
        wrong = _Probe(network, list(graph.parameters), inputs, residuals).contradicts()
    except torch.OutOfMemoryError:
        raise
    except RAISED:  # not in float64
        return
    if wrong:
        names = ", ".join(name.removesuffix("Backward") for name in own)
        raise MeasurementError(
            "model: the second derivatives are not those of the outputs; they pass through "
            f"functions with a backward of their own: {names}. Allowed: a backward that can be "
            "differentiated. Save what it needs with ctx.save_for_backward and calculate it "
            "from saved inputs, or write the function with operations of torch."
        )


class _Probe:
    """The derivative of g = sum_i r_i . f(x_i) in the parameters, along one random direction.

    Args:
        network: f.
        names: of the parameters.
        inputs: (n, *input_shape).
        residuals: (n, N), the r_i.
    """

    def __init__(
        self, network: FrozenNetwork, names: Sequence[str], inputs: Tensor, residuals: Tensor
    ):
        self._network, self._inputs = network, inputs.double()
        # Differentiable, or functions with one derivative only would leave no trace.
        self._residuals = residuals.detach().double().requires_grad_()
        self._leaves = {name: network.leaves[name].detach().double() for name in names}
        generator = torch.Generator(device="cpu").manual_seed(0)
        self._direction = {
            name: torch.randn(
                leaf.shape, generator=generator, dtype=torch.float64, device="cpu"
            ).to(leaf.device)
            for name, leaf in self._leaves.items()
        }

    def contradicts(self) -> bool:
        """Whether no finite difference of first derivatives agrees with the second one."""
        exact, rounding = self._second()
        for step in _STEPS:
            difference = (self._first(step) - self._first(-step)) / (2 * step)
            size = max(float(exact.norm()), float(difference.norm()))
            if float((exact - difference).norm()) <= _TOLERANCE * size + rounding / step:
                return False
        return True

    def _second(self) -> tuple[Tensor, float]:
        """The second derivative along the direction, and how the first one may be rounded."""
        moved, first = self._gradients(0.0, again=True)
        refuse_single_derivatives(first)
        rounding = 100 * torch.finfo(torch.float64).eps * float(_flat(first).detach().norm())
        product = sum((g * v).sum() for g, v in zip(first, self._direction.values(), strict=True))
        if not product.requires_grad:
            return torch.zeros_like(_flat(moved)), rounding
        return _flat(torch.autograd.grad(product, moved, materialize_grads=True)), rounding

    def _first(self, step: float) -> Tensor:
        return _flat(self._gradients(step, again=False)[1])

    def _gradients(self, step: float, *, again: bool) -> tuple[list[Tensor], Sequence[Tensor]]:
        """The parameters at a step along the direction, and the derivatives there."""
        moved = {
            name: (leaf + step * self._direction[name]).requires_grad_()
            for name, leaf in self._leaves.items()
        }
        total = (self._network.at(moved, self._inputs) * self._residuals).sum()
        at = list(moved.values())
        return at, torch.autograd.grad(total, at, create_graph=again, materialize_grads=True)


def _flat(gradients: Sequence[Tensor]) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in gradients])
