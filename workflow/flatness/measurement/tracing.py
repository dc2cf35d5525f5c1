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

from flatness.measurement.layers import KINDS, takes


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    The edge is taken before anything can change the output in place, so that the
    cotangent is that of the layer itself.
    """

    module: nn.Module
    parameters: Mapping[str, Tensor]
    input: Tensor
    version: int
    edge: GradientEdge


@dataclass(frozen=True)
class Trace:
    """A differentiable forward pass.

    Args:
        inputs: the leaf at which derivatives with respect to the inputs are taken.
        output: whatever the network returned.
        calls: the calls of each layer that might have a closed form, by its name.
    """

    inputs: Tensor
    output: Any
    calls: Mapping[str, list[Call]]


class FrozenNetwork:
    """A network as a function of leaves that stand in for its parameters.

    The network's own tensors are never differentiated, so their `requires_grad` and
    `grad` stay as they are; buffers are copies, so a forward pass may write to them.

    Args:
        model: the network.
    """

    def __init__(self, model: nn.Module):
        self.model = model
        self.leaves = {
            name: parameter.detach().requires_grad_()
            for name, parameter in model.named_parameters()
        }
        self.buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}

    def __call__(self, inputs: Tensor) -> Any:
        """The network's output."""
        return functional_call(self.model, self.leaves | self.buffers, (inputs,))

    def trace(self, inputs: Tensor) -> Trace:
        """A forward pass on (n, *input_shape), recorded."""
        leaf = inputs.detach().clone().requires_grad_()
        calls: dict[str, list[Call]] = {}
        handles = [
            module.register_forward_hook(_recorder(calls.setdefault(name, [])))
            for name, module in self.model.named_modules()
            if _is_plain(module)
        ]
        try:
            # A copy, because the first layer may work in place.
            output = self(leaf.clone())
        finally:
            for handle in handles:
                handle.remove()
        return Trace(leaf, output, calls)


@dataclass(frozen=True)
class Layer:
    """A layer whose closed form applies.

    Args:
        call: its one call.
        names: names of its parameters that have a closed form, by their role in the
            layer, "weight" or "bias".
        only_way: whether the inputs reach the output through this layer only.
    """

    call: Call
    names: Mapping[str, str]
    only_way: bool


def twin_positions(n: int) -> list[int]:
    """The samples of a chunk of n that are computed a second time, in another company.

    Fewer than all, so that a network that mixes samples gives other values for them,
    and in reversed order, so that one that depends on the order does, too.
    """
    count = min(max(n - 1, 1), 8)
    return [round(k) for k in torch.linspace(n - 1, 0 if count > 1 else n - 1, count).tolist()]


def layers_with_closed_form(network: FrozenNetwork, trace: Trace, twin: Trace) -> list[Layer]:
    """The layers, and those of their parameters, that have a closed form.

    Args:
        network: what was traced.
        trace: of a chunk of samples; its output is a tensor.
        twin: of its samples at `twin_positions`; it shows which axis of a layer's input
            holds the samples, and that they stand there in their order.
    """
    names = {id(leaf): name for name, leaf in network.leaves.items()}
    uses = Counter(id(leaf) for leaf in _leaf_edges(trace.output))
    layers = []
    for layer, calls in trace.calls.items():
        again = twin.calls.get(layer, [])
        if len(calls) == len(again) == 1 and _samples_first(calls[0], again[0], trace, twin):
            node = calls[0].edge.node
            beside = {id(leaf) for leaf in _leaf_edges(trace.output, barrier=node)}
            own = {
                role: names[id(tensor)]
                for role, tensor in calls[0].parameters.items()
                if id(tensor) in names and uses[id(tensor)] == 1 and id(tensor) not in beside
            }
            if own:
                layers.append(Layer(calls[0], own, id(trace.inputs) not in beside))
    return layers


def first_linear_layer(trace: Trace, layers: list[Layer]) -> Layer | None:
    """The linear layer that reads the inputs, or None where there is none.

    It is given the flattened inputs and is the only way from them to the output.
    Whether it is given them as they are, and not equal numbers made from them, only
    the derivatives show (see `sweep`).
    """
    flat = trace.inputs.detach().flatten(1)
    for layer in layers:
        call = layer.call
        if (
            layer.only_way
            and "weight" in layer.names
            and isinstance(call.module, nn.Linear)
            and call.input.shape == flat.shape
            and torch.equal(call.input, flat)
        ):
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


def _recorder(calls: list[Call]):
    def record(module: nn.Module, arguments: tuple, output: Tensor) -> None:
        if len(arguments) == 1 and output.requires_grad:
            parameters = {
                role: tensor
                for role in ("weight", "bias")
                if (tensor := getattr(module, role)) is not None
            }
            seen = arguments[0]
            calls.append(
                Call(module, parameters, seen.detach(), seen._version, get_gradient_edge(output))
            )

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


def _leaf_edges(output: Tensor, barrier: Node | None = None) -> Iterator[Tensor]:
    """The leaves in the graph of `output`, once for each edge that leads to one.

    Nodes behind `barrier` are not visited.
    """
    seen = {barrier, output.grad_fn}
    waiting = [output.grad_fn] if output.grad_fn not in (None, barrier) else []
    while waiting:
        for node, _ in waiting.pop().next_functions:
            if node is not None and hasattr(node, "variable"):
                yield node.variable
            elif node is not None and node not in seen:
                seen.add(node)
                waiting.append(node)
