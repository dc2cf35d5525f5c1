"""Which closed form gives the gradients of which parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor
from torch.autograd.graph import Node

from flatness.measurement.element_forms import ElementForm
from flatness.measurement.operations import ElementUse, WeightUse
from flatness.measurement.placement import Placement
from flatness.measurement.structure import Structure
from flatness.measurement.weight_forms import WeightForm


@dataclass(frozen=True)
class Plan:
    """One closed form.

    Args:
        nodes: where the parameters are used; their cotangents are what the form takes.
        names: of the parameters, by their role, "weight" or "bias".
        uses: of the one parameter that is not the weight of linear maps.
    """

    nodes: tuple[Node, ...]
    names: Mapping[str, str]
    uses: tuple[ElementUse, ...] = field(default=())

    def form(
        self,
        structure: Structure,
        placements: Mapping[Node, Placement],
        values: Mapping[str, Tensor],
        outputs: int,
        adaptive: bool,
        dtype: torch.dtype,
    ) -> WeightForm | ElementForm:
        """The form, with no cotangent taken in.

        Args:
            structure: of the forward pass.
            placements: where the samples lie in what each node returns.
            values: the parameters.
            outputs: how many cotangents will be taken in at most.
            adaptive: whether gradients times the parameters are wanted, too.
            dtype: in which products are formed.
        """
        samples = len(structure.run.inputs)
        where = [placements[node] for node in self.nodes]
        if self.uses:
            value = values[self.names["weight"]].detach()
            return ElementForm(self.uses, where, samples, value, adaptive, dtype)
        maps = [structure.maps[node] for node in self.nodes]
        bias = values[self.names["bias"]].detach() if "bias" in self.names else None
        return WeightForm(maps, where, samples, outputs, bias, adaptive, dtype)


def plans(structure: Structure) -> list[Plan]:
    """The closed forms of all parameters that have one, each parameter in one of them."""
    found, in_weight_forms = [], set()
    biases = _biases(structure)
    for name, uses in structure.uses.items():
        if not uses or not all(isinstance(use, WeightUse) for use in uses):
            continue
        nodes = tuple(use.node for use in uses)
        # Positions of several maps are put together, so features must have one order.
        if len({(u.transposed, structure.maps[u.node].weight.shape) for u in uses}) > 1:
            continue
        names = {"weight": name}
        if bias := biases.get(nodes):
            names["bias"] = bias
            in_weight_forms.add(bias)
        found.append(Plan(nodes, names))
    for name, uses in structure.uses.items():
        if uses and name not in in_weight_forms and all(isinstance(u, ElementUse) for u in uses):
            nodes = tuple(use.node for use in uses)
            if len(set(nodes)) == len(nodes):
                found.append(Plan(nodes, {"weight": name}, tuple(uses)))
    return found


def _biases(structure: Structure) -> dict[tuple[Node, ...], str]:
    """Parameters that linear maps add at every position, and nothing else reads, by those maps."""
    found = {}
    for name, uses in structure.uses.items():
        nodes = tuple(use.node for use in uses or ())
        if nodes and all(
            node in structure.maps
            and structure.maps[node].bias_slot is not None
            and isinstance(use, ElementUse)
            and prod(use.shape) == len(structure.maps[node].weight)
            for node, use in zip(nodes, uses, strict=True)
        ):
            found[nodes] = name
    return found
