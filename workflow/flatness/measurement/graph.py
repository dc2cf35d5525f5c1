"""The autograd graph of one forward pass, walked once.

A node is one operation that autograd recorded; its inputs are edges to the nodes that computed
them. Leaves are the inputs' and the parameters' stand-ins.
"""

from collections.abc import Iterable, Iterator

from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

# Which argument of which node: (node, position).
Slot = tuple[Node, int]


class Graph:
    """Every node between an output and its leaves, each once.

    Args:
        output: what is differentiated.
        inputs: the leaf that stands for the samples.
        parameters: the leaves that stand for the parameters, by name.
    """

    def __init__(self, output: Tensor, inputs: Tensor, parameters: dict[str, Tensor]):
        self.root = get_gradient_edge(output).node
        self.readers: dict[Node, list[Slot]] = {self.root: []}
        self.nodes = [self.root]
        for node in self.nodes:
            for position, (before, _) in enumerate(node.next_functions):
                if before is None:
                    continue
                if before not in self.readers:
                    self.readers[before] = []
                    self.nodes.append(before)
                self.readers[before].append((node, position))
        leaves = {id(n.variable): n for n in self.nodes if hasattr(n, "variable")}
        self.inputs = leaves.get(id(inputs))
        self.parameters = {
            name: leaves[id(leaf)] for name, leaf in parameters.items() if id(leaf) in leaves
        }
        self.of_inputs = self._after([self.inputs] if self.inputs else [])
        self.of_parameters = self._after(self.parameters.values())

    def reaches_output(self, start: Node, closed: set[Slot]) -> bool:
        """Whether a node leads to the output by a way that enters none of the slots given."""
        seen, waiting = {start}, [start]
        while waiting:
            node = waiting.pop()
            if node is self.root:
                return True
            for reader, position in self.readers[node]:
                if reader not in seen and (reader, position) not in closed:
                    seen.add(reader)
                    waiting.append(reader)
        return False

    def reaches_inputs(self, without: Node) -> bool:
        """Whether the output depends on the inputs by a way that avoids one node."""
        seen, waiting = {without}, [self.root]
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            if node is self.inputs:
                return True
            seen.add(node)
            waiting.extend(before for before, _ in node.next_functions if before in self.of_inputs)
        return False

    def _after(self, starts: Iterable[Node]) -> set[Node]:
        """The nodes that depend on one of these, which are among them."""
        found = set(starts)
        waiting = list(found)
        while waiting:
            for reader, _ in self.readers[waiting.pop()]:
                if reader not in found:
                    found.add(reader)
                    waiting.append(reader)
        return found


def nodes_before(output: Tensor) -> Iterator[Node]:
    """The nodes that an output was computed by, each once, without leaves."""
    seen, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen or hasattr(node, "variable"):
            continue
        seen.add(node)
        yield node
        waiting.extend(before for before, _ in node.next_functions)
