"""Squares of what backward passes bring to a chunk, added up for each sample."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import Node

from flatness.errors import NotFiniteError
from flatness.measurement.backward import by_site
from flatness.measurement.element_forms import ElementForm
from flatness.measurement.fetching import fetched_by_name
from flatness.measurement.squares import sums_of_squares
from flatness.measurement.traced import TracedChunk
from flatness.measurement.wanted import Wanted
from flatness.measurement.weight_forms import WeightForm


@dataclass(frozen=True)
class Found:
    """Sums of squares over passes, each (n,) float64 on the CPU.

    Args:
        parameters: of the derivatives with respect to parameters, by name.
        adaptive: the same of these times the parameters; empty if they are not wanted.
        layers: of the cotangents of layers' outputs, by name of the layer.
        inputs: of the derivatives with respect to the inputs.
        times_inputs: of these times the inputs.
        beside: what was asked for beside these.
    """

    parameters: dict[str, Tensor]
    adaptive: dict[str, Tensor]
    layers: dict[str, Tensor]
    inputs: Tensor
    times_inputs: Tensor
    beside: dict[str, Tensor]


class Sums:
    """Squared norms of the derivatives of one combination of outputs per pass.

    Args:
        traced: the chunk.
        wanted: what is to be found.
        passes: how many there will be at most until `finish`.
        dtype: in which products and squares are formed, the network's or a wider one.

    `sites` are the nodes whose cotangents are to be handed over, and `layers` those that have
    sums.
    """

    def __init__(self, traced: TracedChunk, wanted: Wanted, passes: int, dtype: torch.dtype):
        self._traced, self._wanted, self._dtype = traced, wanted, dtype
        self._n = len(traced.inputs)
        self._forms: list[tuple[tuple[Node, ...], dict, WeightForm | ElementForm]] = []
        if wanted.parameters:
            for plan in traced.plans:
                form = plan.form(
                    traced.structure,
                    traced.placements,
                    traced.network.leaves,
                    passes,
                    wanted.adaptive,
                    dtype,
                )
                self._forms.append((plan.nodes, dict(plan.names), form))
        self._alone = {nodes[0]: [] for nodes, _, _ in self._forms}
        self._together = []
        for nodes, _, form in self._forms:
            if len(nodes) == 1:
                self._alone[nodes[0]].append(form)
            else:
                self._together.append((nodes, form))
        self._kept = {node for nodes, _ in self._together for node in nodes}
        self._arrived: dict[Node, Tensor] = {}
        self.layers = traced.layers if wanted.layers else []
        # Some forms sum the squares of a layer's cotangents anyway.
        self._summing = {
            nodes[0]: form
            for nodes, _, form in self._forms
            if isinstance(form, WeightForm) and len(nodes) == 1 and form.sums_cotangents
        }
        nodes = [*self._alone, *self._kept, *(layer.node for layer in self.layers)]
        self.sites = list(dict.fromkeys(nodes))
        self._begin()

    def _begin(self) -> None:
        self._of_layers = {
            layer.node: self._zeros() for layer in self.layers if layer.node not in self._summing
        }
        self._of_inputs, self._times_inputs = self._zeros(), self._zeros()

    def receive(self, node: Node, cotangent: Tensor) -> None:
        """Take in what a pass brings to one of the sites."""
        if node in self._of_layers:
            self._of_layers[node] += self._sum_of_squares(node, cotangent)
        for form in self._alone.get(node, ()):
            form.add([cotangent])
        if node in self._kept:
            self._arrived[node] = cotangent

    def receive_inputs(self, gradient: Tensor, *, plain: bool = False) -> None:
        """Take in what a pass brings to the inputs.

        Args:
            gradient: (n, ...).
            plain: whether its own squares are wanted beside those of its product with the inputs.
        """
        gradient = gradient.to(self._dtype)
        if plain:
            self._of_inputs += sums_of_squares(gradient)
        self._times_inputs += sums_of_squares(gradient * self._traced.inputs.detach())

    def end_pass(self) -> None:
        """To be called after each pass: some forms need all of their sites."""
        if self._arrived:
            for nodes, form in self._together:
                taken = by_site(self._arrived, nodes)
                if taken is not None:
                    form.add(taken)
            self._arrived.clear()

    def finish(self) -> None:
        """To be called after the last pass, before any result is asked for."""
        for _, _, form in self._forms:
            form.finish()

    def restart(self) -> None:
        """Begin anew with sums of zero; what was asked for stays as it is."""
        for _, _, form in self._forms:
            form.restart()
        self._begin()

    def results(self, beside: Mapping[str, Tensor]) -> "Found":
        """All sums, on the CPU.

        Args:
            beside: other (n,) float64 that are wanted there.
        """
        of_samples: dict[tuple[str, str], Tensor] = {
            ("inputs", "plain"): self._of_inputs,
            ("inputs", "times"): self._times_inputs,
        }
        for _, names, form in self._forms:
            for role, name in names.items():
                of_samples["parameter", name] = form.results[role]
                if self._wanted.adaptive:
                    of_samples["adaptive", name] = form.results[f"adaptive_{role}"]
        for layer in self.layers:
            form = self._summing.get(layer.node)
            of_samples["layer", layer.name] = (
                form.results["cotangents"] if form else self._of_layers[layer.node]
            )
        of_samples |= {("beside", name): values for name, values in beside.items()}
        # Together, as each copy from a device waits for it.
        there = fetched_by_name(of_samples)

        def all_of(kind: str) -> dict[str, Tensor]:
            return {key[1]: values for key, values in there.items() if key[0] == kind}

        return Found(
            all_of("parameter"),
            all_of("adaptive"),
            all_of("layer"),
            there["inputs", "plain"],
            there["inputs", "times"],
            all_of("beside"),
        )

    def _sum_of_squares(self, node: Node, cotangent: Tensor) -> Tensor:
        """(n,) float64."""
        where = self._traced.placements[node]
        d = where.samples_first(cotangent, self._n).to(self._dtype)
        return sums_of_squares(d)

    def _zeros(self) -> Tensor:
        return torch.zeros(self._n, dtype=torch.float64, device=self._traced.inputs.device)


def refuse_infinite(sums: Iterable[Tensor]) -> None:
    """Refuse sums of squares that are not finite.

    Raises:
        MeasurementError: there is one.
    """
    if not all(values.isfinite().all() for values in sums):
        raise NotFiniteError(
            "model: its parameter Jacobian holds values that are not finite. Allowed: a network "
            "that is differentiable at the samples. Look for overflow, or for roots and quotients "
            "at 0."
        )
