"""Where a gradient ends although the output goes on to depend on inputs and parameters.

`torch.no_grad()` inside of a forward pass, as around a frozen backbone, leaves no trace in
autograd's graph: derivatives would be silently zero. What was calculated without gradients is
noted while the network runs (see `watch`). Where there is any, and wherever the inputs do not
get a gradient at all, the derivative is compared with finite differences.

Straight-through estimators go on without gradients, too, and on purpose: the output does not
change with what they round, or the inputs are in the graph and a detached tensor is not all
that depends on them.
"""

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from flatness.errors import MeasurementError
from flatness.measurement.frozen import ForwardPass, FrozenNetwork
from flatness.measurement.graph import Graph
from flatness.measurement.watch import Watch

# A derivative that is missing is not one that is off by a kink or by rounding.
_TOLERANCE = 0.1
_DIRECTIONS = 3
_MOST_NAMED = 3


def refuse_cut(network: FrozenNetwork, run: ForwardPass, graph: Graph, watch: Watch) -> None:
    """Refuse a network whose gradient ends on the way.

    Args:
        network: what was run.
        run: of a few samples; its graph is kept.
        graph: of these or other samples.
        watch: what was noted in the run.

    Raises:
        MeasurementError: a finite difference is another than the derivative where something
            was calculated without gradients.
    """
    places, functions = watch.without_gradients, []
    if graph.inputs is None:
        places = [*watch.without_gradients, *watch.detached]
    elif not places:
        functions = _without_gradient(run, graph)
    if (graph.inputs is None or places or functions) and _ends_for_inputs(network, run):
        where = (
            f"in function {', '.join(map(repr, functions))}, whose backward gives none"
            if functions
            else f"{_in_modules(network, places)}, under torch.no_grad() or at a detach()"
        )
        raise _refusal(where, "the inputs")
    unread = [name for name in watch.parameters if name not in graph.parameters]
    if unread and _matter(network, run, unread):
        name = next((name for name in unread if _matter(network, run, [name])), unread[0])
        where = f"{_in_modules(network, [watch.parameters[name]])}, under torch.no_grad()"
        raise _refusal(where, f"parameter {name!r}")


def where_it_ends(network: FrozenNetwork, inputs: Tensor) -> str | None:
    """The modules in which the gradient ends, of a network whose output has none.

    Args:
        network: the network.
        inputs: (n, *input_shape).

    Returns:
        None where nothing was calculated without gradients.
    """
    watch = Watch(network)
    with watch.watching():
        network.record(inputs)
    places = [*watch.without_gradients, *watch.detached]
    return _in_modules(network, places) if places else None


def _refusal(where: str, what: str) -> MeasurementError:
    return MeasurementError(
        f"model: the gradient ends {where}: the output changes with {what} where its derivative "
        "says it does not. Allowed: a network whose whole way from inputs and parameters to "
        "output can be differentiated. Take no_grad() and detach() out of forward, or measure "
        "the part behind them on its own inputs."
    )


def _in_modules(network: FrozenNetwork, places: Iterable[str]) -> str:
    """The network goes by its class, as it has no name."""
    named = [place or type(network.model).__name__ for place in dict.fromkeys(places or [""])]
    plural = "s" if len(named) > 1 else ""
    more = " or others" if len(named) > _MOST_NAMED else ""
    return f"in module{plural} {' or '.join(map(repr, named[:_MOST_NAMED]))}{more}"


def _without_gradient(run: ForwardPass, graph: Graph) -> list[str]:
    """Functions with a backward of their own that give no gradient, if the inputs get none."""
    if not any(isinstance(node, BackwardCFunction) for node in graph.nodes):
        return []
    silent: list[str] = []
    nodes = Graph(run.output, run.inputs, {}).nodes
    handles = [
        node.register_hook(_noting_silence(type(node).__name__.removesuffix("Backward"), silent))
        for node in nodes
        if isinstance(node, BackwardCFunction)
    ]
    try:
        gradient = _gradient(run, torch.ones_like(run.output[0]))
    finally:
        for handle in handles:
            handle.remove()
    return sorted(set(silent)) if gradient is None else []


def _noting_silence(name: str, silent: list[str]) -> Callable:
    def note(gradients: tuple, _into: tuple) -> None:
        if all(gradient is None for gradient in gradients):
            silent.append(name)

    return note


def _gradient(run: ForwardPass, weights: Tensor) -> Tensor | None:
    """The derivative of a combination of the outputs, of each sample in itself."""
    (gradient,) = torch.autograd.grad(
        (run.output @ weights).sum(), run.inputs, retain_graph=True, allow_unused=True
    )
    return gradient


def _ends_for_inputs(network: FrozenNetwork, run: ForwardPass) -> bool:
    """Whether finite differences contradict the derivative in every direction tried.

    They must for half of the samples in which the output changes at all: a sample may lie on
    a kink, and one whose output stands still is not one in which a derivative is missing.
    """
    if not run.output.requires_grad:
        return True
    inputs = run.inputs.detach()
    generator = torch.Generator(device="cpu").manual_seed(0)
    step = _step(inputs) * (float(inputs.abs().max()) or 1.0)
    changes = torch.ones(len(inputs), dtype=torch.bool, device=inputs.device)
    differs = changes.clone()
    for _ in range(_DIRECTIONS):
        direction = _random(inputs, generator)
        weights = _random(run.output.detach()[0], generator)
        slopes, noise = _slopes(
            network(inputs + step * direction), network(inputs - step * direction), weights, step
        )
        gradient = _gradient(run, weights)
        expected = torch.zeros_like(slopes)
        if gradient is not None:
            expected = (gradient * direction).flatten(1).double().sum(1)
        size = torch.maximum(slopes.abs(), expected.abs())
        changes &= slopes.abs() > noise
        differs &= (slopes - expected).abs() > _TOLERANCE * size + noise
    return bool(2 * (differs & changes).sum() >= changes.sum() > 0)


def _matter(network: FrozenNetwork, run: ForwardPass, names: list[str]) -> bool:
    """Whether the output changes with some parameters, in every direction tried."""
    inputs = run.inputs.detach()
    generator = torch.Generator(device="cpu").manual_seed(0)
    step = _step(inputs)
    for _ in range(_DIRECTIONS):
        weights = _random(run.output.detach()[0], generator)
        ahead, behind = copy.copy(network), copy.copy(network)
        ahead.leaves, behind.leaves = dict(network.leaves), dict(network.leaves)
        for name in names:
            leaf = network.leaves[name].detach()
            change = step * (float(leaf.abs().max()) or 1.0) * _random(leaf, generator)
            ahead.leaves[name] = (leaf + change).requires_grad_()
            behind.leaves[name] = (leaf - change).requires_grad_()
        slopes, noise = _slopes(ahead(inputs), behind(inputs), weights, step)
        if not (slopes.abs() > noise).any():
            return False
    return True


def _slopes(ahead: Tensor, behind: Tensor, weights: Tensor, step: float) -> tuple[Tensor, Tensor]:
    """(n,) float64: how a combination of outputs changes, and what rounding makes of it."""
    ahead, behind, weights = ahead.detach(), behind.detach(), weights.double()
    slopes = (ahead.double() - behind.double()) @ weights / (2 * step)
    eps = torch.finfo(ahead.dtype).eps
    return slopes, 10 * eps * ahead.abs().amax(1).double() * weights.norm() / step


def _step(values: Tensor) -> float:
    return torch.finfo(values.dtype).eps ** (1 / 3)


def _random(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device="cpu").to(like)
