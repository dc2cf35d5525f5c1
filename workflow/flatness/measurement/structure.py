"""What a forward pass consists of: its linear maps, and what is done with each parameter."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import Node
from torch.nn import functional

from flatness.measurement.frozen import ForwardPass, FrozenNetwork, ModuleCall
from flatness.measurement.graph import Graph, Slot
from flatness.measurement.operations import (
    RESHAPES,
    TRANSPOSES,
    ElementUse,
    LinearMap,
    Use,
    linear_maps,
    uses,
)


@dataclass(frozen=True)
class NamedMap:
    """A linear map that has a name of its own: it is the only one of its module.

    Args:
        name: the module's, or that of the parameter without "weight".
        map: the map.
        weight, bias: names of its parameters, where it reads them as they are.
        padding: (mode, extents as `torch.nn.functional.pad` takes them) where the module
            repeats entries of its input before it applies the weight.
        input: x^l, before such padding, and before zeros that are added at one side only.
        outlet: the node at whose output the derivative with respect to x^l is found; None
            where it is the first argument of the map itself.
    """

    name: str
    map: LinearMap
    weight: str | None
    bias: str | None
    padding: tuple[str, tuple[int, ...]] | None
    input: Tensor
    outlet: Node | None


class Structure:
    """The linear maps of a forward pass and the uses of its parameters.

    Args:
        network: what was run.
        run: the forward pass; its output is a tensor that can be differentiated.

    `sites` are the nodes that matter, in the order of calculation; two passes of one network
    that have the same `signature` have the same sites in the same order. `uses` holds, of each
    parameter on the way to the output, what is done with it, or None where something else is.
    """

    def __init__(self, network: FrozenNetwork, run: ForwardPass):
        self.run = run
        self.graph = graph = Graph(run.output, run.inputs, network.leaves)
        self.maps = linear_maps(graph)
        self._covered: set[Slot] = set()
        self.uses: dict[str, list[Use] | None] = {}
        for name, leaf in graph.parameters.items():
            self.uses[name] = uses(leaf, self.maps, graph, self._covered)
        nodes = {*self.maps, *(use.node for known in self.uses.values() for use in known or ())}
        self.sites = sorted(nodes, key=lambda node: node._sequence_nr())
        entering: dict[Node, list[str]] = {node: [] for node in self.sites}
        self._elements: dict[Node, list[ElementUse]] = {node: [] for node in self.sites}
        for name, known in self.uses.items():
            for use in known or ():
                entering[use.node].append(name)
                if isinstance(use, ElementUse):
                    self._elements[use.node].append(use)
        self.signature = tuple((node.name(), tuple(entering[node])) for node in self.sites)
        self.named = self._named(network)

    def of_site(self, node: Node) -> list[ElementUse]:
        """The element uses at one node."""
        return self._elements[node]

    def left_out(self, network: FrozenNetwork, names: Mapping[str, NamedMap]) -> list[str]:
        """What applies a weight on the way to the output and is not among the maps given.

        Named are modules that are called several times or are of another kind, and weights
        (parameters with two axes or more) that enter the output otherwise, as in recurrent
        layers, unless they are only added or multiplied entry by entry.
        """
        graph = self.graph
        modules = [
            name
            for name, calls in self.run.calls.items()
            if name not in names and any(self._on_the_way(call) for call in calls)
        ]
        closed = {(one.map.node, one.map.weight_slot) for one in names.values()}
        closed |= {
            slot for slot in self._covered if slot[0] not in self.maps or self._is_bias(slot)
        }
        weights = [
            name
            for name, node in graph.parameters.items()
            if network.leaves[name].ndim >= 2
            and graph.reaches_output(node, closed)
            and not any(name.startswith(f"{module}.") for module in modules if module)
        ]
        return modules + weights

    def _is_bias(self, slot: Slot) -> bool:
        node, position = slot
        return position == self.maps[node].bias_slot

    def _on_the_way(self, call: ModuleCall) -> bool:
        """Whether what a module returned enters the output."""
        return call.output in self.graph.readers

    def _named(self, network: FrozenNetwork) -> list[NamedMap]:
        """Maps with names of their own, in the order of modules."""
        found: dict[str, NamedMap] = {}
        graph = self.graph
        of_inputs = [
            one
            for one in self.maps.values()
            if one.node.next_functions[one.input_slot][0] in graph.of_inputs
        ]
        taken: set[Node] = set()
        for name, calls in self.run.calls.items():
            inside = [
                one
                for one in of_inputs
                if any(call.begins <= one.node._sequence_nr() < call.ends for call in calls)
            ]
            alone = len(calls) == len(inside) == 1
            if alone and self._returns(calls[0], inside[0]):
                found[name] = self._name(name, inside[0], calls[0])
            if alone or len(calls) > 1:
                taken.update(one.node for one in inside)
        for one in of_inputs:
            weight = self._read_as_it_is(one.node, one.weight_slot)
            if one.node in taken or weight is None or len(self.uses[weight] or ()) != 1:
                continue
            if not weight.endswith("weight"):
                continue
            name = weight.removesuffix("weight").rstrip("._")
            found.setdefault(name, self._name(name, one, None))
        order = {name: k for k, (name, _) in enumerate(network.model.named_modules())}
        last = len(order)
        return sorted(
            found.values(),
            key=lambda one: order.get(one.name, order.get(one.name.rpartition(".")[0], last)),
        )

    def _returns(self, call: ModuleCall, one: LinearMap) -> bool:
        """Whether a module returns what its map gives, and nothing made of it."""
        node = call.output
        if node not in self.graph.readers:
            return False
        while node is not one.node:
            before = [each for each, _ in node.next_functions if each in self.graph.of_inputs]
            bias = node.name() == "AddBackward0" and self._elements.get(node)
            if len(before) != 1 or not (bias or node.name() in RESHAPES):
                return False
            node = before[0]
        return True

    def _name(self, name: str, one: LinearMap, call: ModuleCall | None) -> NamedMap:
        weight = self._read_as_it_is(one.node, one.weight_slot)
        bias = None
        if one.bias_slot is not None:
            bias = self._read_as_it_is(one.node, one.bias_slot)
        seen, padding, outlet = one.inputs, None, None
        if call is not None and call.outlet is not None:
            mode = call.module.padding_mode
            if mode == "zeros":
                extents = _grown(one.inputs, call.input)
                if any(extents) and _is_padded(one.inputs, call.input, "constant", extents):
                    seen, outlet = call.input, call.outlet
            else:
                extents = tuple(getattr(call.module, "_reversed_padding_repeated_twice", ()))
                if _is_padded(one.inputs, call.input, mode, extents):
                    padding, seen, outlet = (mode, extents), call.input, call.outlet
        return NamedMap(name, one, weight, bias, padding, seen, outlet)

    def _read_as_it_is(self, node: Node, position: int) -> str | None:
        """The parameter that is an argument of a node, transposed or not."""
        before = node.next_functions[position][0]
        while before is not None and before.name() in RESHAPES | TRANSPOSES:
            before = before.next_functions[0][0]
        names = (name for name, leaf in self.graph.parameters.items() if leaf is before)
        return next(names, None)


def _is_padded(padded: Tensor, plain: Tensor, mode: str, extents: tuple[int, ...]) -> bool:
    """Whether one tensor is another with some of its entries repeated around it."""
    if plain.ndim != padded.ndim or len(extents) != 2 * (plain.ndim - 2):
        return False
    return torch.equal(functional.pad(plain, extents, mode=mode), padded)


def _grown(padded: Tensor, plain: Tensor) -> tuple[int, ...]:
    """What was added at the ends of the spatial axes, as `torch.nn.functional.pad` takes it."""
    added = [one - other for one, other in zip(padded.shape[2:], plain.shape[2:], strict=False)]
    return tuple(extent for each in reversed(added) for extent in (0, each))
