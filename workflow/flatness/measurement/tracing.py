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

from flatness.measurement.layers import KINDS

# Largest difference, relative to the largest entry, between a sample computed
# alone and within a chunk that is still put down to rounding.
SAME = 1e-3


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


def calls_with_closed_form(
    network: FrozenNetwork, trace: Trace, single: Trace
) -> dict[str, tuple[str, Call]]:
    """Which parameters have a closed form, and by which call.

    Args:
        network: what was traced.
        trace: of a chunk of samples; its output is a tensor.
        single: of the first sample of the chunk alone; it shows which axis holds samples.

    Returns:
        By the parameter's name: its role in the layer, "weight" or "bias", and the call.
    """
    names = {id(leaf): name for name, leaf in network.leaves.items()}
    uses = Counter(id(leaf) for leaf in _leaf_edges(trace.output))
    found = {}
    for layer, calls in trace.calls.items():
        alone = single.calls.get(layer, [])
        if len(calls) == len(alone) == 1 and _samples_first(calls[0], alone[0]):
            for role, tensor in calls[0].parameters.items():
                if id(tensor) in names and uses[id(tensor)] == 1:
                    found[names[id(tensor)]] = (role, calls[0])
    return found


def first_linear_layer(trace: Trace, found: Mapping[str, tuple[str, Call]]) -> str | None:
    """Name of the weight W for which Eq. 4 holds, or None where there is none.

    It belongs to a linear layer that reads the flattened inputs as they are and is
    the only way from them to the output, so that f depends on x through W x alone.
    """
    flat = trace.inputs.detach().flatten(1)
    for name, (role, call) in found.items():
        reads_inputs = (
            role == "weight"
            and isinstance(call.module, nn.Linear)
            and call.input.shape == flat.shape
            and torch.equal(call.input, flat)
        )
        if reads_inputs and not any(
            leaf is trace.inputs for leaf in _leaf_edges(trace.output, barrier=call.edge.node)
        ):
            return name
    return None


def agree(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors differ by no more than rounding explains."""
    if one.shape != other.shape:
        return False
    if one.numel() == 0:
        return True
    one, other = one.detach(), other.detach()
    scale = torch.maximum(one.abs().max(), other.abs().max())
    return bool((one - other).abs().max() <= SAME * scale)


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


def _samples_first(call: Call, alone: Call) -> bool:
    """Whether the first axis of a layer's input holds the samples, and none was changed since."""
    one, many = alone.input, call.input
    return (
        call.version == many._version
        and alone.version == one._version
        and many.ndim >= 2
        and len(one) == 1
        and one.shape[1:] == many.shape[1:]
        and agree(one[0], many[0])
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
