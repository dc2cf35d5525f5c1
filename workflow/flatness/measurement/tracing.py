"""One forward pass that remembers which layers have closed forms.

A parameter may use the closed form of its layer only if that layer is called once,
by the plain forward of its class, on samples along its first axis, and the
parameter enters the output nowhere else. Everything else is differentiated sample
by sample (see `persample`), so that no architecture gives a wrong number.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd

from flatness.errors import MeasurementError
from flatness.measurement.layers import KINDS, takes

# Whatever applies a weight linearly; not all of these have closed forms.
LINEAR_MAPS = (nn.Linear, nn.Bilinear, _ConvNd)


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    The edges are taken before anything can change input or output in place. That of
    the input belongs to a view which only this layer reads, so the derivative there is
    that through this layer alone.
    """

    module: nn.Module
    parameters: Mapping[str, Tensor]
    input: Tensor
    version: int
    input_edge: GradientEdge
    edge: GradientEdge


@dataclass(frozen=True)
class Trace:
    """A differentiable forward pass.

    Args:
        inputs: the leaf at which derivatives with respect to the inputs are taken.
        output: whatever the network returned.
        calls: the calls of each layer that might have a closed form, by its name.
        linear_maps: where the outputs of linear layers and convolutions of any kind stand in
            the graph, by the layer's name.
    """

    inputs: Tensor
    output: Any
    calls: Mapping[str, list[Call]]
    linear_maps: Mapping[str, list[Node]]


class FrozenNetwork:
    """A network as a function of leaves that stand in for its parameters.

    The network's own tensors are never differentiated, so their `requires_grad` and
    `grad` stay as they are; buffers are copies, so a forward pass may write to them.

    Args:
        model: the network.
        layer: name of a module whose flattened output is what the function returns; None
            for the output of the network.

    Raises:
        MeasurementError: the network has no module of that name.
    """

    def __init__(self, model: nn.Module, layer: str | None = None):
        modules = dict(model.named_modules())
        if layer is not None and layer not in modules:
            raise MeasurementError(
                f"layer = {layer!r} is no module of the network. Allowed: "
                f"{', '.join(repr(name) for name in modules if name)}. Choose one of these."
            )
        self.model, self.layer = model, layer
        self.leaves = {
            name: parameter.detach().requires_grad_()
            for name, parameter in model.named_parameters()
        }
        self.buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}

    def __call__(self, inputs: Tensor) -> Any:
        """The network's output, or that of the layer asked for, flattened.

        Raises:
            MeasurementError: the layer is not called once, or does not return one tensor.
        """
        if self.layer is None:
            return functional_call(self.model, self.leaves | self.buffers, (inputs,))
        outputs: list[Any] = []
        module = self.model.get_submodule(self.layer)
        # A copy, because what follows may work in place.
        handle = module.register_forward_hook(
            lambda _module, _arguments, output: outputs.append(
                output.clone() if isinstance(output, Tensor) else output
            )
        )
        try:
            functional_call(self.model, self.leaves | self.buffers, (inputs,))
        finally:
            handle.remove()
        if len(outputs) != 1 or not isinstance(outputs[0], Tensor) or outputs[0].ndim < 2:
            found = type(outputs[0]).__name__ if outputs else "nothing"
            raise MeasurementError(
                f"layer = {self.layer!r} is called {len(outputs)} times and returns {found}. "
                "Allowed: a module that is called once and returns one tensor (samples, ...). "
                "Choose another, or wrap the network."
            )
        return outputs[0].flatten(1)

    def parameters(self, trace: Trace) -> list[str]:
        """Names of the parameters measured: all, or those up to the layer asked for."""
        if self.layer is None:
            return list(self.leaves)
        on_the_way = {id(leaf) for leaf in leaf_edges(trace.output)}
        return [name for name, leaf in self.leaves.items() if id(leaf) in on_the_way]

    def trace(self, inputs: Tensor) -> Trace:
        """A forward pass on (n, *input_shape), recorded."""
        leaf = inputs.detach().clone().requires_grad_()
        calls: dict[str, list[Call]] = {}
        linear_maps: dict[str, list[Node]] = {}
        handles = []
        plain = not _hooks_on_every_module()
        for name, module in self.model.named_modules():
            if plain and _is_plain(module):
                handles.append(module.register_forward_pre_hook(_own_view_of_input))
                handles.append(module.register_forward_hook(_recorder(calls.setdefault(name, []))))
            if isinstance(module, LINEAR_MAPS):
                nodes = linear_maps.setdefault(name, [])
                handles.append(module.register_forward_hook(_node_recorder(nodes)))
        try:
            # A copy, because the first layer may work in place.
            output = self(leaf.clone())
        finally:
            for handle in handles:
                handle.remove()
        return Trace(leaf, output, calls, linear_maps)


@dataclass(frozen=True)
class Layer:
    """A linear layer or convolution on the way to the output, called once.

    Args:
        name: the module's name.
        call: its one call.
        names: names of its parameters that have a closed form, by their role in the
            layer, "weight" or "bias".
        only_way: whether the inputs reach the output through this layer only.
    """

    name: str
    call: Call
    names: Mapping[str, str]
    only_way: bool

    @property
    def weight(self) -> Tensor:
        """The weight the layer was called with."""
        return self.call.parameters["weight"]


def twin_positions(n: int) -> list[int]:
    """The samples of a chunk of n that are computed a second time, in another company.

    Fewer than all, so that a network that mixes samples gives other values for them,
    and in reversed order, so that one that depends on the order does, too.
    """
    count = min(max(n - 1, 1), 8)
    return [round(k) for k in torch.linspace(n - 1, 0 if count > 1 else n - 1, count).tolist()]


def twin_of(network: FrozenNetwork, trace: Trace) -> Trace:
    """The trace of some of the samples in another company.

    Raises:
        MeasurementError: their outputs are not what they were.
    """
    positions = twin_positions(len(trace.inputs))
    twin = network.trace(trace.inputs.detach()[positions])
    if not agree(trace.output[positions], twin.output):
        raise MeasurementError(
            "model: the output of some samples changes with the samples beside them, or from call "
            "to call. Allowed: a network that treats each sample on its own and gives the same "
            "output every time. Take out what mixes samples or draws random numbers; for recurrent "
            "layers see batch_first."
        )
    return twin


def layers_of(network: FrozenNetwork, trace: Trace, twin: Trace) -> list[Layer]:
    """The layers that are called once on the way to the output, in the order of modules.

    Args:
        network: what was traced.
        trace: of a chunk of samples; its output is a tensor.
        twin: of its samples at `twin_positions`; it shows which axis of a layer's input
            holds the samples, and that they stand there in their order.
    """
    names = {id(leaf): name for name, leaf in network.leaves.items()}
    uses = Counter(id(leaf) for leaf in leaf_edges(trace.output))
    on_the_way = set(graph_nodes(trace.output))
    layers = []
    for name, calls in trace.calls.items():
        again = twin.calls.get(name, [])
        if (
            len(calls) == len(again) == 1
            and calls[0].edge.node in on_the_way
            and _samples_first(calls[0], again[0], trace, twin)
        ):
            node = calls[0].edge.node
            beside = {id(leaf) for leaf in leaf_edges(trace.output, barrier=node)}
            own = {
                role: names[id(tensor)]
                for role, tensor in calls[0].parameters.items()
                if id(tensor) in names and uses[id(tensor)] == 1 and id(tensor) not in beside
            }
            layers.append(Layer(name, calls[0], own, id(trace.inputs) not in beside))
    return layers


def left_out(network: FrozenNetwork, trace: Trace, layers: list[Layer]) -> list[str]:
    """Linear maps on the way to the output that are not among `layers`.

    Named are layers that are called several times, hooked, of another class, or do not read
    samples along the first axis, and weights (parameters with two axes or more) that enter the
    output outside of `layers`, as in recurrent layers, attention and functional calls.
    """
    found = {layer.name for layer in layers}
    on_the_way = set(graph_nodes(trace.output))
    modules = [
        name
        for name, nodes in trace.linear_maps.items()
        if name not in found and not on_the_way.isdisjoint(nodes)
    ]
    uses = Counter(id(leaf) for leaf in leaf_edges(trace.output))
    uses.subtract(id(layer.weight) for layer in layers)
    weights = [
        name
        for name, leaf in network.leaves.items()
        if leaf.ndim >= 2
        and uses[id(leaf)] > 0
        and not any(name.startswith(f"{module}.") for module in modules)
    ]
    return modules + weights


def input_layer(trace: Trace, layers: list[Layer]) -> Layer | None:
    """The layer that reads the inputs, or None where there is none.

    It is given the inputs, flattened or not, and is the only way from them to the output.
    Whether it is given them as they are, and not equal numbers made from them, only
    the derivatives show (see `sweep`).
    """
    flat = trace.inputs.detach().flatten(1)
    for layer in layers:
        seen = layer.call.input
        if layer.only_way and seen.numel() == flat.numel() and torch.equal(seen.flatten(1), flat):
            return layer
    return None


def agree(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors differ by no more than rounding explains.

    Allows the square root of the dtype's resolution, relative to the largest entry.
    """
    if one.shape != other.shape:
        return False
    if one.numel() == 0:
        return True
    one, other = one.detach(), other.detach()
    scale = torch.maximum(one.abs().max(), other.abs().max())
    return bool((one - other).abs().max() <= torch.finfo(one.dtype).eps ** 0.5 * scale)


def _is_plain(module: nn.Module) -> bool:
    """Whether calling the module is nothing but the forward of a class with a closed form."""
    hooks = (
        *(module._forward_hooks, module._forward_pre_hooks),
        *(module._backward_hooks, module._backward_pre_hooks),
    )
    return type(module) in KINDS and "forward" not in vars(module) and not any(hooks)


def _hooks_on_every_module() -> bool:
    """Whether hooks are registered that torch calls for all modules."""
    kinds = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
    return any(getattr(torch.nn.modules.module, f"_global_{kind}") for kind in kinds)


def _own_view_of_input(_module: nn.Module, arguments: tuple) -> tuple | None:
    """Give a layer a view of its input that nothing else reads, differentiable in any case."""
    if len(arguments) != 1 or not arguments[0].is_floating_point():
        return None
    seen = arguments[0]
    return (seen.view_as(seen) if seen.requires_grad else seen.detach().requires_grad_(),)


def _node_recorder(nodes: list[Node]):
    def record(_module: nn.Module, _arguments: tuple, output: Any) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            nodes.append(get_gradient_edge(output).node)

    return record


def _recorder(calls: list[Call]):
    def record(module: nn.Module, arguments: tuple, output: Tensor) -> None:
        if len(arguments) == 1 and output.requires_grad and arguments[0].requires_grad:
            parameters = {
                role: tensor
                for role in ("weight", "bias")
                if (tensor := getattr(module, role)) is not None
            }
            seen = arguments[0]
            edges = get_gradient_edge(seen), get_gradient_edge(output)
            calls.append(Call(module, parameters, seen.detach(), seen._version, *edges))

    return record


def _samples_first(call: Call, again: Call, trace: Trace, twin: Trace) -> bool:
    """Whether the first axis of a layer's input holds the samples, each in its place.

    No input may have been changed since the layer read it.
    """
    return (
        call.version == call.input._version
        and again.version == again.input._version
        and takes(call.module, call.input)
        and len(call.input) == len(trace.inputs)
        and agree(call.input[twin_positions(len(trace.inputs))], again.input)
    )


def leaf_edges(output: Tensor, barrier: Node | None = None) -> Iterator[Tensor]:
    """The leaves in the graph of `output`, once for each edge that leads to one.

    Nodes behind `barrier` are not visited.
    """
    for node in graph_nodes(output, barrier):
        for following, _ in node.next_functions:
            if following is not None and hasattr(following, "variable"):
                yield following.variable


def graph_nodes(output: Tensor, barrier: Node | None = None) -> Iterator[Node]:
    """The nodes in the graph of `output`, each once, without leaves and `barrier`."""
    seen = {barrier, output.grad_fn}
    waiting = [output.grad_fn] if output.grad_fn not in (None, barrier) else []
    while waiting:
        node = waiting.pop()
        yield node
        for following, _ in node.next_functions:
            if following is None or hasattr(following, "variable") or following in seen:
                continue
            seen.add(following)
            waiting.append(following)
