"""The proof that closed forms hold: what they give for one sample is what autograd gives.

A few samples of the chunk are run again, in another company and order (the twin). That shows
whether the network treats each sample on its own, and where samples lie in each tensor: a
sample's output depends on nothing that belongs to another one, so the cotangents of a random
combination of its outputs are zero everywhere else. The squared norms that the closed forms
give for these cotangents are compared with those of autograd's gradients.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import Node

from flatness.errors import MeasurementError
from flatness.measurement.agreement import agree, agreeing
from flatness.measurement.backward import Backward, by_site
from flatness.measurement.cuts import refuse_cut
from flatness.measurement.fetching import fetched_by_name
from flatness.measurement.forms import plans
from flatness.measurement.frozen import ForwardPass, FrozenNetwork
from flatness.measurement.graph import Graph
from flatness.measurement.operations import ElementUse
from flatness.measurement.placement import Placement, candidates
from flatness.measurement.squares import totals_of_squares
from flatness.measurement.structure import Structure
from flatness.measurement.watch import Watch

# What reorders entries by numbers that only the forward pass knows.
_REORDERING = ("Index", "Gather", "Sort", "Take", "Scatter", "Unique", "Masked")


@dataclass(frozen=True)
class Proof:
    """What holds for a forward pass.

    Args:
        placements: where the samples lie in what each site returns, by its position among
            the sites; sites of which that is not known are missing.
        proved: the parameters whose closed form holds.
    """

    placements: Mapping[int, Placement]
    proved: frozenset[str]


def twin_positions(n: int) -> list[int]:
    """The samples of a chunk of n that are run a second time.

    Others than all, so that a network that mixes samples gives other values for them, and
    in reversed order, so that one that depends on the order does, too.
    """
    if n < 3:
        return [n - 1] * n
    count = min(n - 1, 3)
    return [round((n - 1) * (count - 1 - k) / (count - 1)) for k in range(count)]


def twin_of(
    network: FrozenNetwork, run: ForwardPass, *, watched: bool, graph: Graph
) -> ForwardPass:
    """Some of the samples in another company.

    Args:
        network: what was run.
        run: of all samples.
        watched: whether it is found out, too, whether the gradient ends on the way.
        graph: of the run.

    Raises:
        MeasurementError: their outputs are not what they were, or depend on inputs or parameters
            where their derivatives do not.
    """
    positions = twin_positions(len(run.inputs))
    samples = run.inputs.detach()[positions]
    network = network.of(positions)
    watch = Watch(network)
    with watch.watching() if watched else nullcontext():
        twin = network.record(samples)
    if not agree(run.output[positions], twin.output):
        raise MeasurementError(
            "model: the output of some samples changes with the samples beside them, or from call "
            "to call. Allowed: a network that treats each sample on its own and gives the same "
            "output every time. Take out what mixes samples or draws random numbers; for recurrent "
            "layers see batch_first."
        )
    if watched:
        refuse_cut(network, twin, graph, watch)
    return twin


def prove(
    network: FrozenNetwork, structure: Structure, twin: ForwardPass, proofs: dict[tuple, Proof]
) -> Proof:
    """Find out where the samples lie, and which closed forms hold.

    Args:
        network: what was run.
        structure: of the chunk.
        twin: of the chunk.
        proofs: those of earlier chunks, by signature; gains this one.

    Returns:
        What holds for this chunk: where the samples lie is seen again in each.
    """
    of_twin = Structure(network, twin)
    signature = structure.signature
    if of_twin.signature != signature:
        return Proof({}, frozenset())
    places = _Places(structure, of_twin)
    if signature not in proofs:
        proofs[signature] = _prove(network, of_twin, places)
    proof = proofs[signature]
    placements = {k: where for k, where in proof.placements.items() if places.allow(k, where)}
    return Proof(placements, proof.proved)


def _prove(network: FrozenNetwork, twin: Structure, places: "_Places") -> Proof:
    samples = len(twin.run.inputs)
    attempts = list(dict.fromkeys([samples // 2, samples - 1, 0]))
    first = None
    for sample in attempts:
        cotangents, gradients = _differentiate(network, twin, sample)
        places.narrow(cotangents, sample)
        first = first or (sample, cotangents, gradients)
        if not places.undecided():
            break
    placements = places.found()
    return Proof(placements, _holding(network, twin, placements, *first))


def _differentiate(
    network: FrozenNetwork, twin: Structure, sample: int
) -> tuple[dict[Node, Tensor], dict[str, Tensor | None]]:
    """Cotangents at all sites, and gradients, of a random combination of one sample's outputs."""
    row = twin.run.output[sample]
    generator = torch.Generator(device="cpu").manual_seed(0)
    weights = torch.randn(len(row), generator=generator, dtype=torch.float64, device="cpu")
    cotangents: dict[Node, Tensor] = {}

    def receive(node: Node, cotangent: Tensor, _into: object) -> None:
        cotangents[node] = cotangent

    names = list(twin.uses)
    backward = Backward(twin, twin.sites)
    with backward.handing_over(receive):
        wanted = [
            *([twin.run.inputs] if twin.graph.inputs else []),
            *map(network.leaves.get, names),
        ]
        found = backward.once(row @ weights.to(row), None, wanted, again=True)
    return cotangents, dict(zip(names, found[len(wanted) - len(names) :], strict=True))


class _Places:
    """Where the samples may lie, narrowed down step by step."""

    def __init__(self, structure: Structure, twin: Structure):
        self._samples = len(twin.run.inputs)
        positions = twin_positions(len(structure.run.inputs))
        reordered = any(
            word in node.name() for node in structure.graph.of_inputs for word in _REORDERING
        )
        self._left: dict[int, list[Placement]] = {}
        self._twin = twin
        samples = len(structure.run.inputs)
        chosen = torch.tensor(positions, device="cpu").to(structure.run.inputs.device)
        asked: dict[tuple[int, Placement], Tensor] = {}
        for k, (node, again) in enumerate(zip(structure.sites, twin.sites, strict=True)):
            left = _possible(twin, again, self._samples)
            seen, seen_again = _read_at(structure, node), _read_at(twin, again)
            if seen is None and reordered:
                left = []
            elif seen is not None:
                left = [
                    where
                    for where in left
                    if _may_agree(where, seen, samples, positions, seen_again)
                ]
                for where in left if seen.numel() else ():
                    rows = where.samples_first(seen, samples)[chosen]
                    asked[k, where] = agreeing(
                        rows, where.samples_first(seen_again, len(positions))
                    )
            self._left[k] = left
        same = fetched_by_name(asked)
        for k, left in self._left.items():
            self._left[k] = [where for where in left if same.get((k, where), True)]

    def narrow(self, cotangents: Mapping[Node, Tensor], sample: int) -> None:
        """Leave out places with a cotangent that belongs to another sample."""
        asked: dict[tuple[int, Placement], Tensor] = {}
        for k, node in enumerate(self._twin.sites):
            for where in self._left[k] if node in cotangents else ():
                rows = where.samples_first(cotangents[node], self._samples)
                asked[k, where] = rows[:sample].any() | rows[sample + 1 :].any()
        elsewhere = fetched_by_name(asked)
        for k, left in self._left.items():
            self._left[k] = [where for where in left if not elsewhere.get((k, where), False)]

    def allow(self, site: int, where: Placement) -> bool:
        """Whether a place is among those left."""
        return where in self._left[site]

    def undecided(self) -> bool:
        """Whether anything is left to be decided."""
        return self._samples > 1 and any(len(left) > 1 for left in self._left.values())

    def found(self) -> dict[int, Placement]:
        """The places that are known: the only ones possible."""
        alone = self._samples == 1
        return {k: left[0] for k, left in self._left.items() if len(left) == 1 or (alone and left)}


def _possible(structure: Structure, node: Node, samples: int) -> list[Placement]:
    """The places that the shapes at a site allow."""
    if node in structure.maps:
        return list(candidates(tuple(node._input_metadata[0].shape), samples, [0]))
    shape = tuple(node._input_metadata[0].shape)
    axes = range(len(shape))
    for use in structure.of_site(node):
        padded = (1,) * (len(shape) - len(use.shape)) + use.shape
        axes = [axis for axis in axes if padded[axis] == 1]
    return list(candidates(shape, samples, axes))


def _read_at(structure: Structure, node: Node) -> Tensor | None:
    """A tensor that a site read, with the samples where they lie in what it returned."""
    if node in structure.maps:
        return structure.maps[node].inputs
    factors = [use.factor for use in structure.of_site(node) if isinstance(use, ElementUse)]
    shape = tuple(node._input_metadata[0].shape)
    return next((f for f in factors if f is not None and tuple(f.shape) == shape), None)


def _may_agree(
    where: Placement, seen: Tensor, samples: int, positions: list[int], again: Tensor | None
) -> bool:
    """Whether the twin may have read at this place what the chunk read there, by its shape."""
    if again is None or seen.shape[where.axis] % samples:
        return False
    if seen.shape[where.axis] // samples != again.shape[where.axis] // len(positions):
        return False
    one = seen.shape[: where.axis] + seen.shape[where.axis + 1 :]
    return one == again.shape[: where.axis] + again.shape[where.axis + 1 :]


def _holding(
    network: FrozenNetwork,
    twin: Structure,
    placements: Mapping[int, Placement],
    sample: int,
    cotangents: Mapping[Node, Tensor],
    gradients: Mapping[str, Tensor | None],
) -> frozenset[str]:
    """The parameters whose closed form gives the gradient's norm, and zero for other samples."""
    known = {twin.sites[k]: where for k, where in placements.items()}
    waiting = [plan for plan in plans(twin) if all(node in known for node in plan.nodes)]
    names = [name for plan in waiting for name in plan.names.values()]
    own = [name for name in dict.fromkeys(names) if gradients[name] is not None]
    expected = dict(zip(own, totals_of_squares([gradients[name] for name in own]), strict=True))
    proved: set[str] = set()
    output = twin.run.output
    # Squares of tiny and huge derivatives are no float32 numbers.
    for dtype in dict.fromkeys((output.dtype, torch.float64)):
        found: dict[str, Tensor] = {}
        for plan in waiting:
            form = plan.form(twin, known, network.leaves, 1, False, dtype)
            taken = by_site(cotangents, plan.nodes)
            if taken is not None:
                form.add(taken)
            form.finish()
            found |= {name: form.results[role] for role, name in plan.names.items()}
        holding = {
            name
            for name, sq_norms in fetched_by_name(found).items()
            if _gives(sq_norms, expected.get(name), sample, output.dtype)
        }
        last = dtype == torch.float64
        for plan in waiting:
            of_plan = holding & set(plan.names.values())
            if last or len(of_plan) == len(plan.names):
                proved |= of_plan
        waiting = [plan for plan in waiting if not holding >= set(plan.names.values())]
    return frozenset(proved)


def _gives(sq_norms: Tensor, total: Tensor | None, sample: int, dtype: torch.dtype) -> bool:
    """Whether these are the squared norms of one sample's gradient, and zero for all others."""
    expected = torch.zeros_like(sq_norms)
    if total is not None:
        expected[sample] = total
    return agree(sq_norms, expected, dtype)
