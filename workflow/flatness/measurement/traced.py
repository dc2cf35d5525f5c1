"""A chunk of samples, run once and checked: what `measure` and `curvature` differentiate."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import Node

from flatness.errors import MeasurementError
from flatness.measurement.checks import check_output
from flatness.measurement.cuts import where_it_ends
from flatness.measurement.forms import plans
from flatness.measurement.frozen import FrozenNetwork
from flatness.measurement.operations import RESHAPES, LinearMap
from flatness.measurement.placement import Placement
from flatness.measurement.proof import Proof, prove, twin_of
from flatness.measurement.structure import NamedMap, Structure
from flatness.measurement.weight_forms import positions_of


@dataclass(frozen=True)
class Layer:
    """A linear map with terms of its own: called once, with the samples at a known place.

    Args:
        named: the map and its name.
        where: the place of the samples along the first axis of its inputs and outputs.
        positions: how often it applies its weight to one sample.
        names: names of its parameters that are used nowhere else, by their role in the layer,
            "weight" or "bias", as far as their closed form holds.
    """

    named: NamedMap
    where: Placement
    positions: int
    names: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.named.name

    @property
    def map(self) -> LinearMap:
        return self.named.map

    @property
    def node(self) -> Node:
        return self.named.map.node

    def input_norms(self, samples: int) -> Tensor:
        """(samples,) float64: ||x^l||_2."""
        seen = self.where.samples_first(self.named.input, samples).flatten(1)
        return torch.linalg.vector_norm(seen, dim=1, dtype=torch.float64)


class TracedChunk:
    """One forward pass of n samples and everything that is known of it.

    Args:
        network: the network.
        inputs: (n, *input_shape).
        proofs: what was proved of earlier chunks; gains what is proved here.

    - structure: the linear maps and the uses of parameters.
    - parameters: names of those measured: all, or those from the start to the layer asked for.
    - plans: the closed forms that hold; placements: where samples lie at the sites of these.
    - rest: the parameters that are differentiated sample by sample.
    - layers: the linear maps that have terms of their own.
    - left_out: what else applies a weight on the way to the output.
    - input_layer, output_layer: the layer that is given the inputs as they are, and is their
      only way to the output, and the one whose output is the network's; or None.

    Raises:
        MeasurementError: the output cannot be differentiated, or is not that of each sample
            on its own.
    """

    def __init__(self, network: FrozenNetwork, inputs: Tensor, proofs: dict[tuple, Proof]):
        self.network = network
        self.run = network.record(inputs)
        check_output(self.run.output, lambda: where_it_ends(network.of(slice(1)), inputs[:1]))
        self.structure = Structure(network, self.run)
        twin = twin_of(network, self.run, watched=not proofs, graph=self.structure.graph)
        if network.start is not None and self.structure.graph.inputs is None:
            raise MeasurementError(
                f"start = {network.start!r}: the output does not depend on what this module "
                "returns. Allowed: a module on the way from the inputs to the output. Choose "
                "another."
            )
        proof = prove(network, self.structure, twin, proofs)
        sites = self.structure.sites
        self.placements = {sites[k]: where for k, where in proof.placements.items()}
        known = plans(self.structure)
        self.plans = [
            plan
            for plan in known
            if all(name in proof.proved for name in plan.names.values())
            and all(node in self.placements for node in plan.nodes)
        ]
        on_the_way = self.structure.uses
        whole = network.layer is None and network.start is None
        self.parameters = [name for name in network.leaves if whole or name in on_the_way]
        closed = {name for plan in self.plans for name in plan.names.values()}
        self.rest = [name for name in on_the_way if name not in closed]
        failing = {name for plan in known for name in plan.names.values()} - closed
        self.layers = self._layers(closed, failing)
        names = {layer.name: layer.named for layer in self.layers}
        self.left_out = self.structure.left_out(network, names)
        self.input_layer = next((x for x in self.layers if self._reads_inputs(x)), None)
        self.output_layer = next((x for x in self.layers if self._is_output(x)), None)

    @property
    def inputs(self) -> Tensor:
        """The leaf at which derivatives with respect to the inputs are taken."""
        return self.run.inputs

    @property
    def output(self) -> Tensor:
        """(n, N)."""
        return self.run.output

    def _layers(self, closed: set[str], failing: set[str]) -> list[Layer]:
        found = []
        for named in self.structure.named:
            where = self.placements.get(named.map.node)
            if where is None or named.weight in failing:
                continue
            names = {
                role: name
                for role, name in (("weight", named.weight), ("bias", named.bias))
                if name in closed and len(self.structure.uses[name]) == 1
            }
            found.append(Layer(named, where, positions_of(named.map, len(self.inputs)), names))
        return found

    def _reads_inputs(self, layer: Layer) -> bool:
        graph = self.structure.graph
        if layer.named.outlet is not None:
            before = layer.named.outlet.next_functions[0][0]
        else:
            before = layer.node.next_functions[layer.map.input_slot][0]
        while before.name() in RESHAPES:
            before = before.next_functions[0][0]
        return before is graph.inputs and not graph.reaches_inputs(without=layer.node)

    def _is_output(self, layer: Layer) -> bool:
        node = self.structure.graph.root
        while node.name() in RESHAPES:
            node = node.next_functions[0][0]
        if node in self.structure.maps:
            return node is layer.node
        # The bias of a product without one is added behind it.
        uses = self.structure.of_site(node) if node in self.structure.sites else []
        if len(uses) != 1 or uses[0].factor is not None or uses[0].sign != 1:
            return False
        before = [one for one, _ in node.next_functions if one in self.structure.graph.of_inputs]
        while before and before[0].name() in RESHAPES:
            before = [before[0].next_functions[0][0]]
        return len(before) == 1 and before[0] is layer.node
