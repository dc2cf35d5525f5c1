"""Measuring any network on any samples."""

import json
from collections.abc import Collection
from math import ceil

import torch
import xarray as xr
from torch import Tensor, nn

from flatness.errors import MeasurementError
from flatness.glossary import annotate
from flatness.glossary.primitives import PRIMITIVES
from flatness.measurement.checks import check_network_and_inputs, refusing_failures
from flatness.measurement.chunk_terms import chunk_terms
from flatness.measurement.description import Chunk, describe
from flatness.measurement.eager import as_written
from flatness.measurement.estimating import estimate
from flatness.measurement.frozen import FrozenNetwork
from flatness.measurement.memory import bytes_per_sample
from flatness.measurement.probes import Probes
from flatness.measurement.proof import Proof
from flatness.measurement.selection import Choice, choice_in_words
from flatness.measurement.traced import TracedChunk
from flatness.measurement.unchanged import attributes_kept, exact_arithmetic, gradients_required
from flatness.measurement.unwrapped import unwrapped
from flatness.measurement.wanted import Wanted
from flatness.progress.bar import progress as progress_line
from flatness.progress.share import part


def measure(
    model: nn.Module,
    inputs: Tensor,
    *,
    start: str | None = None,
    layer: str | None = None,
    output: Choice | None = None,
    only: Collection[str] | None = None,
    chunk_size: int = 100,
    memory_gib: float = 2.0,
    dtype: torch.dtype | None = None,
    probes: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> xr.Dataset:
    """Primitives of a network on each of a set of samples, exact unless `probes` are given.

    Every quantity of the paper is a function of the result; see `flatness.quantities`.
    What is done with each parameter is read off autograd's graph. Weights of linear maps and
    convolutions, however often they are applied, parameters of normalisation layers and all
    that are only added or multiplied use a closed form, which is compared with autograd's
    gradient for one sample; parameters for which it does not hold, and those used otherwise,
    are differentiated sample by sample. The model is left exactly as it was, and so are
    torch's random generators.

    Args:
        model: in eval mode, every parameter of one floating-point dtype on one device;
            maps (samples, ...) to (samples, N), each sample on its own. All parameters
            are measured, whether or not they require gradients. Of DataParallel and
            DistributedDataParallel the network inside is measured, under its own names, and
            of an exported program its module.
        inputs: (samples, ...) of the dtype and on the device of the parameters; of any dtype
            where there is a `start`, such as tokens.
        start: name of a module, such as an embedding. f is then the map from that module's
            output, as it is for these inputs, to the output of the network, and the inputs x are
            that output; what else reads the network's inputs, such as a mask, goes on to read
            them. Parameters are those behind the start. A weight that is used before it and
            behind it, as an embedding that is tied to the head, counts with its use behind it.
        layer: name of a module, as in `named_modules`. f is then the map from the inputs to
            that module's flattened output, N its size, and parameters are those up to it.
        output: what is taken where the network, or the layer, does not return one tensor
            (samples, N): the name of an entry of a dict, a dataclass or a named tuple ("logits"),
            an index into a tuple or along the second axis of a tensor (-1), a path of these
            ("hidden_states.-1"), "flatten" for all of one tensor, or a function of what was
            returned. What it gives is flattened to (samples, N). A vector (samples,) is one
            output, with or without this.
        only: names of quantities, as in `flatness.quantities`. What only others need is not
            computed, and is not in the result.
        chunk_size: samples differentiated together, at most. Results agree to rounding for
            any value.
        memory_gib: memory that Jacobians may take, beside what the network itself needs.
            Fewer samples are taken together where they need more, and where those of one
            sample do, their columns come in several rounds of N backward passes. Results
            agree to rounding for any value.
        dtype: torch.float32 or torch.float64: copies of parameters, buffers and inputs are
            converted to it, as bfloat16 and half networks need. The numbers are then those of
            the converted network, whose weights are the same and whose rounding is not.
        probes: k random combinations of the outputs of each sample in the place of the N
            outputs, at least 2; None for the exact way. See "With probes" below.
        seed: an integer, of the probes; torch's generators are left as they are.
        progress: whether a line on the standard error tells how far it is, at what rate, and how
            long it will take; None for yes if that is a terminal and it takes some seconds.

    Returns:
        A Dataset with dimensions sample, mode (N), parameter, output (N) and layer:

        - singular_value (sample, mode): of the input Jacobian, float64, decreasing
          (Eq. 8-10). Computed from a Jacobian in the model's dtype, so values below
          eps times the largest are noise (see `measurement.decompositions`). A sample within
          rounding of a kink (a ReLU at zero, a tie in max-pooling) has the derivative of either
          side.
        - parameter_gradient_sq_norm (sample, parameter): sum over outputs and entries of
          (df_j/dtheta_p)^2, float64 (Eq. 3). Nothing is averaged; the sharpness is the
          mean over samples of the sum over parameters. Check: f(x) = W x + b gives
          N |x|^2 for W and N for b.
        - parameter_adaptive_sq_norm (sample, parameter): the same of
          theta_p df_j/dtheta_p, entry by entry.
        - input_norm (sample): Euclidean norm, float64.
        - input_times_gradient_sq_norm (sample): ||J diag(x)||_F^2, float64.
        - network_output (sample, output): f(x).
        - input_weight_spectral_norm, input_weight_frobenius_norm: of the weight of the
          first linear layer, float64; NaN, with the reason in the attribute `absent`,
          where none reads the inputs.

        and, for each linear layer or convolution l that is called once, with x^l its input,
        z^l its output, and derivatives through that layer alone:

        - layer_input_norm (sample, layer): ||x^l||_2, float64.
        - layer_sensitivity (sample, layer): spectral norm of df/dx^l, float64, the terms of
          the network-wide sensitivity.
        - layer_log_volume (sample, layer): sum of the logarithms of all N singular values of
          df/dx^l, float64; minus infinity where one is exactly zero, and noise where one is lost
          in rounding.
        - layer_output_gradient_sq_norm (sample, layer): ||df/dz^l||_F^2, float64: the squared
          gradient with respect to a bias of its own at every entry of the layer's output.
        - layer_operator_norm (layer): spectral norm of x^l -> z^l, float64; an upper bound of
          it for convolutions and for matrices of more than 2^23 entries. Its attribute
          `method` says how each was found, `input_layer` names the layer that reads the
          inputs, `absent` says why there is none, and `left_out` lists linear maps on the
          way to the output that have no terms: layers that are called several times or
          otherwise, and weights used in other ways (as JSON).
        - layer_eq4_holds (layer): 1 where ||df/dW^l||_F = ||df/dz^l||_F ||x^l||_2: a linear
          layer at one position whose weight is used nowhere else.
        - layer_weight_frobenius_norm, layer_outputs (layer): ||W^l||_F, float64, and the rows
          of W^l. The attribute `output_layer` of the first names the layer whose output is
          the network's.

        With probes there are the dimensions sample, parameter, output and layer. What is a sum
        over outputs is estimated under the same name: parameter_gradient_sq_norm,
        parameter_adaptive_sq_norm, layer_output_gradient_sq_norm, input_times_gradient_sq_norm
        and input_gradient_sq_norm (sample), ||df/dx||_F^2. Each is the mean over k probes of
        the squared norm of the gradient of v.f, v of N independent entries of 1 or -1, drawn for
        every sample and probe, whose expectation is the sum over the N outputs (Hutchinson,
        see `measurement.probes`); the attribute `estimate` says so, and those of the Dataset,
        `probes` and `seed`, which they are. Beside each stands NAME_standard_error, the standard
        deviation over probes (k - 1 degrees of freedom) over sqrt(k); all float64. Draws of
        different samples are independent, those of one sample are shared by all of its numbers,
        so there are also, for each sample,

        - total_gradient_sq_norm_standard_error, total_adaptive_sq_norm_standard_error (sample):
          of the sums over all parameters.
        - input_jacobian_norm (sample): the largest singular value of the input Jacobian,
          a lower bound by Lanczos iterations, and input_jacobian_norm_residual, within which of it
          lies a singular value (see `measurement.largest_singular_value`). NaN, with the reason
          in the attribute `absent`, where the backward pass cannot be differentiated.

        There are no singular_value, layer_sensitivity and layer_log_volume. Estimates do not
        depend on chunk_size or memory_gib, but for rounding, nor on samples that come later.

    Raises:
        MeasurementError: a module is in training mode; dtypes or devices are mixed, or
            neither float32 nor float64; inputs are empty or not finite; the model fails on
            them; what it returns is not (samples, N), and `output` does not make it so; the
            output depends on other samples or differs between two calls, or is not finite; its
            gradient ends on the way; no module is called `start` or `layer`, or it is not called
            once; a name in `only` is no quantity, or has no estimate; N^2 numbers take more than
            `memory_gib`; fewer than 2 probes.

    Cost: one forward and N backward passes of the whole batch, about twice as much again for
    what is made of them (docs/benchmarks), one more forward pass of at most three samples of
    each chunk, and, where parameters have no closed form, one forward and N backward passes of
    each sample; with a start, one forward pass more. On the CPU, networks with convolutions take
    less time when model and inputs have the memory format `torch.channels_last`.

    Cost with probes: k backward passes in the place of N, each of which costs as much or somewhat
    more, and for the largest singular value at most 30 pairs of a backward pass and one through
    it, for which the graphs of both are held in memory. Standard errors are at most about
    sqrt(2 / (k d)) of the value, d the effective number of outputs whose gradients differ (the
    participation ratio of the eigenvalues of their Gram matrix).
    """
    drawn = None if probes is None else Probes(probes, seed)
    wanted = Wanted.of(only) if drawn is None else Wanted.estimated(only)
    model = unwrapped(model)
    check_network_and_inputs(model, inputs, chunk_size, start, dtype)
    if not 0 < memory_gib < float("inf"):
        raise MeasurementError(
            f"memory_gib = {memory_gib}. Allowed: a positive number of GiB. Raise it."
        )
    budget = int(memory_gib * 2**30)
    with (
        exact_arithmetic(inputs.device, model),
        attributes_kept(model),
        gradients_required(model),
        refusing_failures("differentiated"),
        progress_line(progress, "measured", "sample", len(inputs), units=len(inputs)) as line,
    ):

        def measured() -> xr.Dataset:
            network = FrozenNetwork(model, layer, output, start, dtype)
            begun = network.begin(inputs, chunk_size)
            if drawn is not None:
                return estimate(network, begun, drawn, chunk_size, wanted, budget)
            chunks = _all_chunks(network, begun, chunk_size, wanted, budget)
            return describe(begun, chunks, wanted)

        dataset = as_written(measured)
        line.finish()
    if start is not None:
        dataset.attrs["start"] = start
    if layer is not None:
        dataset.attrs["layer"] = layer
    if output is not None:
        dataset.attrs["output"] = choice_in_words(output)
    if only is not None:
        dataset.attrs["only"] = json.dumps(list(only))
    return annotate(dataset, PRIMITIVES)


def _all_chunks(
    network: FrozenNetwork, inputs: Tensor, chunk_size: int, wanted: Wanted, budget: int
) -> list[Chunk]:
    found: list[Chunk] = []
    proofs: dict[tuple, Proof] = {}
    first = 0
    while first < len(inputs):
        here = slice(first, first + chunk_size)
        traced = TracedChunk(network.of(here), inputs[here], proofs)
        _refuse_too_many_outputs(traced.output.shape[1], budget)
        fitting = max(1, budget // max(bytes_per_sample(traced, wanted), 1))
        if fitting < len(traced.inputs):
            chunk_size = ceil(len(traced.inputs) / ceil(len(traced.inputs) / fitting))
            continue
        first += len(traced.inputs)
        with part(len(traced.inputs) / len(inputs)):
            found.append(Chunk.of(traced, chunk_terms(traced, wanted, budget)))
    return found


def _refuse_too_many_outputs(outputs: int, budget: int) -> None:
    needed = 8 * outputs**2
    if needed > budget:
        raise MeasurementError(
            f"model: {outputs} outputs, whose Gram matrix takes {needed / 2**30:.1f} GiB for each "
            f"sample. Allowed: {budget / 2**30:g} GiB (memory_gib). Raise it, or wrap the network "
            "so that it returns fewer outputs, such as some of them or their means."
        )
