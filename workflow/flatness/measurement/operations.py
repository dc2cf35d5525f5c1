"""What single nodes of an autograd graph compute, read off what autograd saved.

Autograd saves what a node needs for its own backward pass, so these facts are those of the
calculation that took place, whatever the attributes of modules say.

A **linear map** is z_t = W a_t + b at positions t: a product of matrices or a convolution whose
W does not depend on the samples. An **element use** multiplies or adds a parameter to every
entry, or to all entries along some axes: scale and shift of a normalisation layer, a bias, a
learned position, a token that is repeated for every sample.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from torch import Tensor
from torch.autograd.graph import Node

from flatness.measurement.graph import Graph, Slot

# Nodes that give their input another shape and leave its entries in their order.
RESHAPES = frozenset(
    {
        "ViewBackward0",
        "UnsafeViewBackward0",
        "ReshapeAliasBackward0",
        "AliasBackward0",
        "UnsqueezeBackward0",
        "SqueezeBackward0",
        "SqueezeBackward1",
        "SqueezeBackward2",
        "CloneBackward0",
    }
)
# The transpose of a matrix, as `linear` takes its weight.
TRANSPOSES = frozenset({"TBackward0", "TransposeBackward0", "PermuteBackward0"})


@dataclass(frozen=True)
class Convolution:
    """How a convolution goes over its input; all of one entry per spatial axis."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


@dataclass(frozen=True)
class LinearMap:
    """A node that applies a weight to positions of its input.

    Args:
        node: the node; its output is (rows, C), or (rows, C, *spatial) of a convolution.
        input_slot, weight_slot, bias_slot: its arguments; no bias is None.
        inputs: (rows, F), or (rows, channels, *spatial).
        weight: as it is applied: (C, F), or (C, channels / groups, *kernel).
        convolution: None for a product of matrices.
    """

    node: Node
    input_slot: int
    weight_slot: int
    bias_slot: int | None
    inputs: Tensor
    weight: Tensor
    convolution: Convolution | None


@dataclass(frozen=True)
class ElementUse:
    """A node that multiplies or adds a parameter, or repeats it.

    Args:
        node: the node.
        shape: of the parameter where it is applied, to be broadcast to the node's output.
        output_shape: of the node's output.
        factor: what the parameter is multiplied by, None for 1; broadcasts to the output.
        sign: 1, or -1 where it is subtracted.
    """

    node: Node
    shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    factor: Tensor | None = None
    sign: int = 1


@dataclass(frozen=True)
class WeightUse:
    """A node that applies a parameter as the weight of a linear map.

    Args:
        node: the node.
        transposed: whether it is the parameter's transpose.
    """

    node: Node
    transposed: bool


Use = ElementUse | WeightUse


def linear_maps(graph: Graph) -> dict[Node, LinearMap]:
    """The linear maps of a graph, in the order in which they were computed."""
    found = (_linear_map(node, graph) for node in graph.nodes)
    known = [one for one in found if one is not None]
    return {one.node: one for one in sorted(known, key=lambda one: one.node._sequence_nr())}


def uses(
    leaf: Node, maps: dict[Node, LinearMap], graph: Graph, covered: set[Slot]
) -> list[Use] | None:
    """Everything that is done with one parameter, in the order of calculation.

    Args:
        leaf: the parameter's node.
        maps: of the graph.
        graph: the graph.
        covered: gains the slots through which the parameter enters what is returned.

    Returns:
        None if something else is done with it, too.
    """
    found: list[tuple[Use, Slot]] = []
    for reader, position, shape, transposed in _readers(graph, leaf, tuple(leaf.variable.shape)):
        one = maps.get(reader)
        if one is not None and position == one.weight_slot:
            use: Use | None = WeightUse(reader, transposed)
        elif (one is not None and position == one.input_slot) or transposed:
            use = None
        else:
            use = _element_use(reader, position, shape)
        if use is None:
            return None
        found.append((use, (reader, position)))
    covered.update(slot for _, slot in found)
    return [use for use, _ in sorted(found, key=lambda pair: pair[0].node._sequence_nr())]


def _readers(
    graph: Graph, node: Node, shape: tuple[int, ...], transposed: bool = False
) -> Iterator[tuple[Node, int, tuple[int, ...], bool]]:
    """Who reads a parameter, behind nodes that only give it another shape.

    Yields:
        The reader, its argument, the shape the parameter has there, and whether its entries
        have another order.
    """
    for reader, position in graph.readers[node]:
        name = reader.name()
        if name in RESHAPES:
            after = tuple(reader._input_metadata[0].shape)
            yield from _readers(graph, reader, after, transposed)
        elif name in TRANSPOSES and len(shape) == 2:
            after = tuple(reader._input_metadata[0].shape)
            yield from _readers(graph, reader, after, not transposed)
        else:
            yield reader, position, shape, transposed


def _linear_map(node: Node, graph: Graph) -> LinearMap | None:
    name = node.name()
    if name == "AddmmBackward0":
        slots = (1, 2, 0)
        if node._saved_alpha != 1 or node._saved_beta != 1:
            return None
        names = ("_saved_mat1", "_saved_mat2")
    elif name == "MmBackward0":
        slots, names = (0, 1, None), ("_saved_self", "_saved_mat2")
    elif name == "ConvolutionBackward0":
        slots, names = (0, 1, 2), ("_saved_input", "_saved_weight")
        if node._saved_transposed:
            return None
    else:
        return None
    before = node.next_functions[slots[1]][0]
    if before not in graph.of_parameters or before in graph.of_inputs:
        return None
    inputs, weight = (_saved(node, each) for each in names)
    if weight is None:  # not saved where the input needs no gradient
        weight = _leaf_value(before)
    if inputs is None or weight is None:
        return None
    bias = slots[2]
    if bias is not None and node.next_functions[bias][0] is None:
        bias = None
    convolution = None
    if name == "ConvolutionBackward0":
        axes = inputs.ndim - 2
        if axes < 1:
            return None
        convolution = Convolution(
            _of_every_axis(node._saved_stride, axes),
            _of_every_axis(node._saved_padding, axes),
            _of_every_axis(node._saved_dilation, axes),
            node._saved_groups,
        )
    else:
        weight = weight.mT
    return LinearMap(node, slots[0], slots[1], bias, inputs, weight, convolution)


def _of_every_axis(values: Sequence[int], axes: int) -> tuple[int, ...]:
    """One value per axis; torch keeps a single one that holds for all as it was given."""
    return tuple(values) * (axes if len(values) == 1 else 1)


def _element_use(node: Node, position: int, shape: tuple[int, ...]) -> ElementUse | None:
    """What a node does with one argument, if it multiplies or adds it."""
    output = tuple(node._input_metadata[0].shape)
    name = node.name()
    factor, sign = None, 1
    if name == "AddmmBackward0":
        known = position == 0 and node._saved_beta == 1
    elif name == "ConvolutionBackward0":
        known = position == 2
        shape = _along_channels(shape, len(output))
    elif name == "AddBackward0":
        known = position == 0 or node._saved_alpha == 1
    elif name == "SubBackward0":
        known = position == 0 or node._saved_alpha == 1
        sign = 1 if position == 0 else -1
    elif name in ("ExpandBackward0", "RepeatBackward0"):
        known = True
    elif name == "MulBackward0":
        factor = _saved(node, "_saved_other" if position == 0 else "_saved_self")
        known = factor is not None
        if known and not factor.is_floating_point():  # a mask
            factor = factor.to(node._input_metadata[0].dtype)
    elif name in _NORMALISATIONS and position in (1, 2):
        factor = _NORMALISATIONS[name](node)
        known = factor is not None
        if name != "NativeLayerNormBackward0":
            shape = _along_channels(shape, len(output))
        if position == 2:
            factor = None
    else:
        known = False
    if not known or len(shape) > len(output):
        return None
    fits = all(
        one in (1, other) for one, other in zip(reversed(shape), reversed(output), strict=False)
    )
    return ElementUse(node, shape, output, factor, sign) if fits else None


def _along_channels(shape: tuple[int, ...], axes: int) -> tuple[int, ...]:
    """The shape of one value per channel, the second axis."""
    return (prod(shape), *(1,) * (axes - 2))


def _by_statistics_of_training(node: Node) -> Tensor | None:
    """What batch normalisation in eval mode multiplies by its scale."""
    if getattr(node, "_saved_training", True):
        return None
    x, mean, variance = (
        _saved(node, f"_saved_{name}") for name in ("input", "running_mean", "running_var")
    )
    if x is None or mean is None or variance is None:
        return None
    eps = getattr(node, "_saved_eps", None)
    if eps is None:
        eps = node._saved_epsilon
    channels = (-1, *(1,) * (x.ndim - 2))
    return (x - mean.reshape(channels)) * (variance + eps).rsqrt().reshape(channels)


def _by_own_statistics(node: Node) -> Tensor | None:
    """What layer normalisation multiplies by its scale."""
    x, mean, inverse = (_saved(node, f"_saved_{name}") for name in ("input", "result1", "result2"))
    if x is None or mean is None or inverse is None:
        return None
    return (x - mean) * inverse


def _by_groups(node: Node) -> Tensor | None:
    """What group normalisation multiplies by its scale."""
    x, mean, inverse = (_saved(node, f"_saved_{name}") for name in ("input", "result1", "result2"))
    if x is None or mean is None or inverse is None:
        return None
    grouped = x.reshape(len(x), node._saved_group, -1)
    return ((grouped - mean[..., None]) * inverse[..., None]).reshape(x.shape)


_NORMALISATIONS = {
    "NativeBatchNormBackward0": _by_statistics_of_training,
    "CudnnBatchNormBackward0": _by_statistics_of_training,
    "MiopenBatchNormBackward0": _by_statistics_of_training,
    "NativeLayerNormBackward0": _by_own_statistics,
    "NativeGroupNormBackward0": _by_groups,
}


def _saved(node: Node, name: str) -> Tensor | None:
    """A tensor that autograd saved, or None where it did not, or where it was changed since."""
    try:
        saved = getattr(node, name)
    except (RuntimeError, AttributeError):
        return None
    return saved.detach() if isinstance(saved, Tensor) else None


def _leaf_value(node: Node) -> Tensor | None:
    """The value of a parameter that is read as it is, or transposed."""
    if node.name() in TRANSPOSES:
        value = _leaf_value(node.next_functions[0][0])
        return None if value is None else value.mT
    return node.variable.detach() if hasattr(node, "variable") else None
