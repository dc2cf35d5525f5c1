"""Backward passes that hand over what arrives at the sites of a network."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node

from flatness.measurement.structure import Structure

# Given a node, the cotangent of what it returned, and the derivatives with respect to its
# arguments (None for those that were not needed).
Receiver = Callable[[Node, Tensor, Sequence[Tensor | None]], None]


class Backward:
    """Backward passes through one forward pass.

    Args:
        structure: of the forward pass.
        sites: the nodes of which something is wanted.
        outlets: nodes of which only the derivative that arrives there is wanted.
    """

    def __init__(self, structure: Structure, sites: Sequence[Node], outlets: Sequence[Node] = ()):
        self._structure, self._outlets = structure, outlets
        of_inputs = structure.graph.of_inputs
        self._hooked = [node for node in sites if node in of_inputs]
        # Nothing runs behind these on the way to the inputs; what arrives is asked for.
        self._asked = [node for node in sites if node not in of_inputs]

    @contextmanager
    def handing_over(self, receive: Receiver) -> Iterator[None]:
        """Call `receive` for every site that a backward pass reaches.

        It gets what autograd's own derivatives of the node's arguments are made of, so what
        hooks have changed on the way is in it.
        """
        handles = [node.register_hook(_hook(node, receive)) for node in self._hooked]
        handles += [node.register_prehook(_prehook(node, receive)) for node in self._outlets]
        self._receive = receive
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def once(
        self,
        output: Tensor,
        cotangent: Tensor | None,
        wanted: Sequence[Tensor | GradientEdge],
        *,
        again: bool,
    ) -> list[Tensor | None]:
        """One backward pass; to be called while `handing_over`.

        Args:
            output: what is differentiated.
            cotangent: with what; None for a scalar.
            wanted: with respect to what; decides which nodes are reached.
            again: whether the graph is needed once more.

        Returns:
            The derivatives wanted.
        """
        edges = [*wanted, *(GradientEdge(node, 0) for node in self._asked)]
        if not edges:
            return []
        found = torch.autograd.grad(output, edges, cotangent, retain_graph=again, allow_unused=True)
        for node, cotangent_there in zip(self._asked, found[len(wanted) :], strict=True):
            if cotangent_there is not None:
                self._receive(node, cotangent_there, ())
        return list(found[: len(wanted)])


def _hook(node: Node, receive: Receiver) -> Callable:
    def hand_over(into: Sequence[Tensor | None], out_of: Sequence[Tensor | None]) -> None:
        if out_of[0] is not None:
            receive(node, out_of[0], into)

    return hand_over


def _prehook(node: Node, receive: Receiver) -> Callable:
    def hand_over(out_of: Sequence[Tensor | None]) -> None:
        if out_of[0] is not None:
            receive(node, out_of[0], ())

    return hand_over


def by_site(cotangents: Mapping[Node, Tensor], nodes: Sequence[Node]) -> list[Tensor] | None:
    """The cotangents of some nodes, zero where none arrived; None where none did at all."""
    if not any(node in cotangents for node in nodes):
        return None
    like = next(iter(cotangents.values()))
    return [
        cotangents[node]
        if node in cotangents
        else like.new_zeros(tuple(node._input_metadata[0].shape))
        for node in nodes
    ]
