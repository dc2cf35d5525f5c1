"""Which samples have squares that float32 cannot hold."""

import torch
from torch import Tensor
from torch.autograd.graph import Node

from flatness.measurement.backward import Backward
from flatness.measurement.frozen import FrozenNetwork
from flatness.measurement.squares import SAFE_IN_FLOAT32
from flatness.measurement.traced import TracedChunk

# Far from the largest float32, and large enough that what is left of it is no zero.
_LARGE = 2.0**40


def lacking(
    network: FrozenNetwork,
    inputs: Tensor,
    of_parameters: dict[str, Tensor],
    of_layers: dict[str, Tensor],
    of_inputs: Tensor | None,
) -> Tensor:
    """The samples whose sums of squares may lack terms.

    Zero is right where all derivatives that were squared are zero, as behind a head whose
    weights are zero.

    Args:
        network: what was differentiated.
        inputs: (n, *input_shape).
        of_parameters: (n,) by the name of the parameter, on the CPU.
        of_layers: the same of layers' outputs, by the name of the layer.
        of_inputs: (n,), or None.

    Returns:
        Their positions.

    Cost: for the samples in doubt, one forward and one backward pass.
    """
    named = [
        *((("parameter", name), squares) for name, squares in of_parameters.items()),
        *((("layer", name), squares) for name, squares in of_layers.items()),
        *([(None, of_inputs)] if of_inputs is not None else []),
    ]
    least, most = SAFE_IN_FLOAT32
    inside = {about: (squares >= least) & (squares <= most) for about, squares in named}
    doubtful = torch.zeros(len(inputs), dtype=torch.bool, device="cpu")
    for each in inside.values():
        doubtful |= ~each
    positions = doubtful.nonzero()[:, 0]
    if len(positions) == 0:
        return positions
    rows = positions.to(inputs.device)
    zero = _vanishing(TracedChunk(network.of(rows), inputs[rows], {}))
    again = torch.zeros(len(positions), dtype=torch.bool, device="cpu")
    for about, squares in named:
        right = inside[about][positions]
        if about in zero:
            right |= zero[about] & (squares[positions] == 0)
        again |= ~right
    return positions[again]


def _vanishing(traced: TracedChunk) -> dict[tuple[str, str] | None, Tensor]:
    """(n,) on the CPU: where everything that makes up a gradient is zero, for all outputs.

    It is for a random combination of outputs with large weights where it is for each of them.
    """
    n = len(traced.inputs)
    zero: dict[Node | None, Tensor] = {}

    def receive(node: Node, cotangent: Tensor, _into: object) -> None:
        d = traced.placements[node].samples_first(cotangent, n)
        zero[node] = ~d.flatten(1).any(1).cpu()

    backward = Backward(traced.structure, list(traced.placements))
    wanted = [traced.inputs] if traced.structure.graph.inputs is not None else []
    generator = torch.Generator(device="cpu").manual_seed(0)
    weights = _LARGE * (1 + torch.rand(traced.output.shape, generator=generator, device="cpu"))
    with backward.handing_over(receive):
        found = backward.once(traced.output, weights.to(traced.output), wanted, again=False)
    nowhere = torch.ones(n, dtype=torch.bool, device="cpu")
    if wanted:
        gradient = found[0]
        zero[None] = nowhere if gradient is None else ~gradient.flatten(1).any(1).cpu()
    by_name: dict[tuple[str, str] | None, Tensor] = {None: zero.get(None, nowhere)}
    for layer in traced.layers:
        by_name["layer", layer.name] = zero.get(layer.node, nowhere)
    for plan in traced.plans:
        parts = [zero.get(node, nowhere) for node in plan.nodes]
        for name in plan.names.values():
            by_name["parameter", name] = torch.stack(parts).all(0)
    return by_name
