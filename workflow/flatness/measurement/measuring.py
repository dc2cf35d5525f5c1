"""Measuring any network on any samples."""

import json
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from flatness.glossary import annotate
from flatness.glossary.primitives import PRIMITIVES
from flatness.measurement.checks import check_network_and_inputs, check_output, refusing_failures
from flatness.measurement.operator_norm import operator_norm
from flatness.measurement.sweep import Sweep, sweep
from flatness.measurement.tracing import FrozenNetwork, Trace, twin_of
from flatness.measurement.unchanged import exact_arithmetic

NO_INPUT_LAYER = (
    "no linear layer or convolution reads the inputs as they are and is their only way to the "
    "output"
)
NO_INPUT_WEIGHT = (
    "no linear layer reads the flattened inputs as they are and is their only way to the output, "
    "so Eq. 4 does not apply"
)

# Jacobians of one chunk take at most this many bytes, however large `chunk_size` is.
_JACOBIAN_BYTES = 2**29


def measure(
    model: nn.Module, inputs: Tensor, *, layer: str | None = None, chunk_size: int = 100
) -> xr.Dataset:
    """Exact primitives of a network on each of a set of samples.

    Every quantity of the paper is a function of the result; see `flatness.quantities`.
    Linear layers and convolutions use a closed form; parameters of all other layers,
    shared ones among them, are differentiated sample by sample. The model is left
    exactly as it was, and so are torch's random generators.

    Args:
        model: in eval mode, every parameter of one floating-point dtype on one device;
            maps (samples, ...) to (samples, N), each sample on its own. All parameters
            are measured, whether or not they require gradients.
        inputs: (samples, ...) of the dtype and on the device of the parameters.
        layer: name of a module, as in `named_modules`. f is then the map from the inputs to
            that module's flattened output, N its size, and parameters are those up to it.
        chunk_size: samples differentiated together, at most. Bounds memory, which grows as
            chunk_size times (N M + the network's activations); fewer are taken together
            where their Jacobians would need more than 512 MiB. Results agree to rounding
            for any value.

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
        - input_norm (sample): Euclidean norm, float64.
        - network_output (sample, output): f(x).
        - input_weight_spectral_norm, input_weight_frobenius_norm: of the weight of the
          first linear layer, float64; NaN, with the reason in the attribute `absent`,
          where none reads the inputs.

        and, for each linear layer or convolution l that is called once, with x^l its input,
        z^l its output, and derivatives through that layer alone:

        - layer_input_norm (sample, layer): ||x^l||_2, float64.
        - layer_sensitivity (sample, layer): spectral norm of df/dx^l, float64, the terms of
          the network-wide sensitivity.
        - layer_output_gradient_sq_norm (sample, layer): ||df/dz^l||_F^2, float64: the squared
          gradient with respect to a bias of its own at every entry of the layer's output.
        - layer_operator_norm (layer): spectral norm of x^l -> z^l, float64; an upper bound of
          it for convolutions. Its attribute `input_layer` names the layer that reads the
          inputs, `absent` says why there is none, and `left_out` lists linear maps on the way
          to the output that have no terms: layers that are called several times or otherwise,
          and weights used in other ways (as JSON).
        - layer_eq4_holds (layer): 1 where ||df/dW^l||_F = ||df/dz^l||_F ||x^l||_2: a linear
          layer at one position whose weight is used nowhere else.

    Raises:
        MeasurementError: a module is in training mode; dtypes or devices are mixed, or
            neither float32 nor float64; inputs are empty or not finite; the model fails on
            them; the output is not (samples, N), depends on other samples or differs between
            two calls, or is not finite; no module is called `layer`, or it is not called once.

    Cost: one forward and N backward passes of the whole batch, about half as much again for
    the norms, one more forward pass of at most eight samples of each chunk, and, where
    parameters have no closed form, one forward and N backward passes of each sample. On the
    CPU, networks with convolutions take less time when model and inputs have the memory format
    `torch.channels_last`.
    """
    check_network_and_inputs(model, inputs, chunk_size)
    with exact_arithmetic(inputs.device), refusing_failures("differentiated"):
        sweeps = _sweep_chunks(FrozenNetwork(model, layer), inputs, chunk_size)
        of_layers = _per_layer(sweeps)
    dataset = xr.Dataset(
        _per_sample(inputs, sweeps) | of_layers,
        attrs={"dtype": str(inputs.dtype).removeprefix("torch.")},
    )
    if layer is not None:
        dataset.attrs["layer"] = layer
    return annotate(dataset, PRIMITIVES)


def _sweep_chunks(network: FrozenNetwork, inputs: Tensor, chunk_size: int) -> list[Sweep]:
    sweeps: list[Sweep] = []
    start = 0
    while start < len(inputs):
        chunk = inputs[start : start + chunk_size]
        trace = network.trace(chunk)
        check_output(trace, len(chunk))
        fitting = _samples_at_once(trace)
        if fitting < len(chunk):
            chunk_size = fitting
            continue
        sweeps.append(sweep(network, trace, twin_of(network, trace)))
        start += len(chunk)
    return sweeps


def _samples_at_once(trace: Trace) -> int:
    """How many samples' Jacobians may be held together."""
    entries = trace.inputs.numel() + sum(
        call.input.numel() for calls in trace.calls.values() for call in calls
    )
    taken = trace.inputs.element_size() * trace.output.shape[1] * entries
    return max(1, len(trace.inputs) * _JACOBIAN_BYTES // max(taken, 1))


def _common(values: list[str | None]) -> str | None:
    """The one value of all chunks, or None."""
    return values[0] if len(set(values)) == 1 else None


def _per_sample(inputs: Tensor, sweeps: list[Sweep]) -> dict[str, Any]:
    """Variables of every sample, and the names of the parameters."""
    parameters = list(sweeps[0].sq_norms)
    sq_norms = [torch.stack([s.sq_norms[name] for name in parameters], 1) for s in sweeps]
    input_norms = torch.linalg.vector_norm(inputs.detach().double().flatten(1), dim=1)
    return {
        "singular_value": (
            ("sample", "mode"),
            torch.cat([s.singular_values for s in sweeps]).numpy(),
        ),
        "parameter_gradient_sq_norm": (("sample", "parameter"), torch.cat(sq_norms).cpu().numpy()),
        "input_norm": ("sample", input_norms.cpu().numpy()),
        "network_output": (
            ("sample", "output"),
            torch.cat([s.output for s in sweeps]).cpu().numpy(),
        ),
        "parameter": np.array(parameters, dtype=object),
    }


def _per_layer(sweeps: list[Sweep]) -> dict[str, Any]:
    """The terms of the layers that every chunk has, and what is known of the first one."""
    names = [name for name in sweeps[0].layers if all(name in s.layers for s in sweeps)]
    layers = [sweeps[0].layers[name].layer for name in names]
    first = _common([s.input_layer for s in sweeps])
    eq4_holds = [
        isinstance(layer.call.module, nn.Linear)
        and "weight" in layer.names
        and all(s.layers[layer.name].positions == 1 for s in sweeps)
        for layer in layers
    ]
    about_layer = {"input_layer": first} if first else {"absent": NO_INPUT_LAYER}
    others = sorted({name for s in sweeps for name in [*s.left_out, *s.layers]} - set(names))
    operator_norms = [
        operator_norm(layer.call.module, layer.weight, layer.call.input.shape) for layer in layers
    ]
    norms, about_weight = (np.nan, np.nan), {"absent": NO_INPUT_WEIGHT}
    if first is not None and eq4_holds[names.index(first)]:
        weight = layers[names.index(first)]
        frobenius = torch.linalg.vector_norm(weight.weight.detach(), dtype=torch.float64)
        norms = operator_norms[names.index(first)], float(frobenius)
        about_weight = {"input_weight": weight.names["weight"]}

    def stacked(term: str) -> tuple[tuple[str, str], np.ndarray]:
        columns = [torch.cat([getattr(s.layers[name], term) for s in sweeps]) for name in names]
        samples = sum(len(s.output) for s in sweeps)
        values = torch.stack(columns, 1) if columns else torch.zeros(samples, 0).double()
        return ("sample", "layer"), values.numpy()

    return {
        "input_weight_spectral_norm": ((), norms[0], about_weight),
        "input_weight_frobenius_norm": ((), norms[1], about_weight),
        "layer_input_norm": stacked("input_norm"),
        "layer_sensitivity": stacked("sensitivity"),
        "layer_output_gradient_sq_norm": stacked("output_gradient_sq_norm"),
        "layer_operator_norm": (
            "layer",
            np.array(operator_norms),
            about_layer | {"left_out": json.dumps(others)},
        ),
        "layer_eq4_holds": ("layer", np.array(eq4_holds, dtype=np.int8)),
        "layer": np.array(names, dtype=object),
    }
