"""The N backward passes of a chunk, and what is kept of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flatness.measurement.layers import ClosedForm
from flatness.measurement.stacking import Stack
from flatness.measurement.tracing import Layer, Trace


@dataclass(frozen=True)
class Derivatives:
    """What the backward passes leave.

    Args:
        jacobian: of the inputs, (n, N, M).
        by_layer: of each layer's input through that layer alone, (n, N, entries); None where
            the inputs' Jacobian is the same thing.
        forms: squared norms of the gradients at each layer.
    """

    jacobian: Tensor
    by_layer: list[Tensor | None]
    forms: list[ClosedForm]


def differentiate(
    trace: Trace, layers: Sequence[Layer], first: Layer | None, dtype: torch.dtype
) -> Derivatives:
    """Differentiate each output of a trace with respect to the inputs, and at its layers.

    Nothing here waits for a GPU.

    Args:
        trace: of n samples; its output is (n, N). Its graph is used up.
        layers: those of the trace.
        first: the one that was given the inputs, as far as their values tell.
        dtype: in which squares are formed.
    """
    output = trace.output
    n, outputs = output.shape
    forms = [ClosedForm(layer.call.module, layer.call.input, outputs, dtype) for layer in layers]
    edges = [
        trace.inputs,
        *(layer.call.input_edge for layer in layers),
        *(layer.call.edge for layer in layers),
    ]
    of_inputs = Stack(trace.inputs, outputs, trace.inputs.dtype)
    of_layers: list[Stack | None] = [None] * len(layers)
    for j, unit in enumerate(torch.eye(outputs, dtype=output.dtype, device=output.device)):
        gradient, *gradients = torch.autograd.grad(
            output,
            edges,
            unit.expand(n, outputs),
            retain_graph=j + 1 < outputs,
            allow_unused=True,
        )
        if gradient is not None:
            of_inputs.put(j, gradient)
        for k, (layer, form) in enumerate(zip(layers, forms, strict=True)):
            into, out_of = gradients[k], gradients[len(layers) + k]
            if out_of is None:
                continue
            form.add(out_of)
            if layer is first and of_layers[k] is None and _same(into, gradient):
                continue
            if of_layers[k] is None:
                of_layers[k] = Stack(into, outputs, dtype)
                if layer is first:
                    of_layers[k].jacobian[:, :j] = of_inputs.jacobian[:, :j]
            of_layers[k].put(j, into)
        del gradient, gradients  # or they would stay while the next ones are made
    for form in forms:
        form.finish()
    return Derivatives(of_inputs.jacobian, [stack and stack.jacobian for stack in of_layers], forms)


def _same(one: Tensor, other: Tensor | None) -> bool:
    """Whether two gradients are one piece of memory."""
    return other is not None and one.data_ptr() == other.data_ptr() and one.numel() == other.numel()
