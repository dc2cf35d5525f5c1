"""How much memory a chunk needs beside what the network itself needs."""

from math import prod

from flatness.measurement.largest_singular_value import bytes_of_vectors
from flatness.measurement.traced import TracedChunk
from flatness.measurement.wanted import Wanted


def column_bytes(traced: TracedChunk) -> int:
    """What one column of one sample's Jacobian takes."""
    return traced.output.shape[1] * traced.output.element_size()


def bytes_per_sample(traced: TracedChunk, wanted: Wanted) -> int:
    """What all Jacobians of one sample take, and what closed forms keep of its inputs."""
    samples = len(traced.inputs)
    columns = traced.inputs[0].numel() if wanted.jacobian else 0
    if wanted.spectra:
        columns += sum(
            layer.named.input.numel() // samples
            for layer in traced.layers
            if layer is not traced.input_layer
        )
    kept = form_bytes(traced) if wanted.parameters else 0
    return column_bytes(traced) * columns + kept


def estimate_bytes_per_sample(traced: TracedChunk, wanted: Wanted) -> int:
    """What closed forms keep of one sample's inputs, or what iterations keep of its vectors.

    They come one after the other.
    """
    kept = form_bytes(traced) if wanted.parameters else 0
    vectors = 0
    if wanted.largest:
        vectors = bytes_of_vectors(traced.inputs[0].numel(), traced.output.shape[1])
    return max(kept, vectors)


def form_bytes(traced: TracedChunk) -> int:
    """What the closed forms keep of one sample's inputs: a convolution's windows overlap."""
    samples, size = len(traced.inputs), traced.output.element_size()
    total = 0
    for plan in traced.plans:
        for node in plan.nodes:
            one = traced.structure.maps.get(node)
            shape = tuple(node._input_metadata[0].shape)
            if one is not None and not plan.uses:
                groups = one.convolution.groups if one.convolution else 1
                total += prod(shape) // shape[1] * groups * prod(one.weight.shape[1:]) * size
    return total // samples
