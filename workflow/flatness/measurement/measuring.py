"""Measuring any network on any samples."""

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from flatness.errors import MeasurementError
from flatness.glossary import annotate
from flatness.glossary.primitives import PRIMITIVES
from flatness.measurement.sweep import Sweep, sweep
from flatness.measurement.tracing import FrozenNetwork, Trace, agree, twin_positions
from flatness.measurement.unchanged import exact_arithmetic

NO_INPUT_WEIGHT = (
    "no linear layer reads the flattened inputs as they are and is their only way to the output, "
    "so Eq. 4 does not apply"
)


def measure(model: nn.Module, inputs: Tensor, *, chunk_size: int = 100) -> xr.Dataset:
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
        chunk_size: samples differentiated together. Bounds memory, which grows as
            chunk_size times (N M + the network's activations); results agree to rounding
            for any value.

    Returns:
        A Dataset with dimensions sample, mode (N), parameter and output (N):

        - singular_value (sample, mode): of the input Jacobian, float64, decreasing
          (Eq. 8-10). Computed from a Jacobian in the model's dtype, so values below
          eps times the largest are noise. A sample within rounding of a kink (a ReLU at
          zero, a tie in max-pooling) has the derivative of either side.
        - parameter_gradient_sq_norm (sample, parameter): sum over outputs and entries of
          (df_j/dtheta_p)^2, float64 (Eq. 3). Nothing is averaged; the sharpness is the
          mean over samples of the sum over parameters. Check: f(x) = W x + b gives
          N |x|^2 for W and N for b.
        - input_norm (sample): Euclidean norm, float64.
        - network_output (sample, output): f(x).
        - input_weight_spectral_norm, input_weight_frobenius_norm: of the weight of the
          first linear layer, float64; NaN, with the reason in the attribute `absent`,
          where none reads the inputs.

    Raises:
        MeasurementError: a module is in training mode; dtypes or devices are mixed, or
            neither float32 nor float64; inputs are empty or not finite; the model fails on
            them; the output is not (samples, N), depends on other samples or differs between
            two calls, or is not finite.

    Cost: one forward and N backward passes of the whole batch, one more forward pass of at
    most eight samples of each chunk, and, where parameters have no closed form, one forward
    and N backward passes of each sample.
    """
    _check(model, inputs, chunk_size)
    with exact_arithmetic(inputs.device):
        network = FrozenNetwork(model)
        try:
            sweeps = [_sweep_chunk(network, chunk) for chunk in inputs.split(chunk_size)]
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, TypeError) as error:
            reason = str(error).strip().splitlines()
            raise MeasurementError(
                f"model: cannot be called or differentiated on these inputs "
                f"({type(error).__name__}: {reason[0] if reason else ''}). Allowed: a network that "
                "maps them to (samples, N) by operations that autograd can run backwards. Call it "
                "on them yourself, and backward() on the output, to see where it fails."
            ) from error
        weight = _common([s.input_weight for s in sweeps])
        norms = _norms(network.leaves[weight]) if weight else (np.nan, np.nan)
    return _dataset(list(network.leaves), inputs, sweeps, weight, norms)


def _sweep_chunk(network: FrozenNetwork, inputs: Tensor) -> Sweep:
    trace = network.trace(inputs)
    _check_output(trace, len(inputs))
    positions = twin_positions(len(inputs))
    twin = network.trace(inputs[positions])
    _check_output(twin, len(positions))
    if not agree(trace.output[positions], twin.output):
        raise MeasurementError(
            "model: the output of some samples changes with the samples beside them, or from call "
            "to call. Allowed: a network that treats each sample on its own and gives the same "
            "output every time. Take out what mixes samples or draws random numbers; for recurrent "
            "layers see batch_first."
        )
    return sweep(network, trace, twin)


def _check(model: nn.Module, inputs: Tensor, chunk_size: int) -> None:
    if not isinstance(inputs, Tensor):
        raise MeasurementError(
            f"inputs: a {type(inputs).__name__}. Allowed: a torch tensor. Convert with "
            "torch.as_tensor(...)."
        )
    if chunk_size < 1:
        raise MeasurementError(f"chunk_size = {chunk_size}. Allowed: 1 or more. Raise it.")
    training = next((name for name, module in model.named_modules() if module.training), None)
    if training is not None:
        raise MeasurementError(
            f"model: module {training or type(model).__name__!r} is in training mode, in which "
            "samples may mix. Allowed: eval mode. Call model.eval() first."
        )
    if inputs.ndim < 2 or len(inputs) == 0:
        raise MeasurementError(
            f"inputs: shape {tuple(inputs.shape)}. Allowed: (samples, ...) with at least one "
            "sample. Add the sample axis, or pass more samples."
        )
    tensors = {"inputs": inputs, **dict(model.named_parameters())}
    if len(tensors) == 1:
        raise MeasurementError(
            "model: has no parameters. Allowed: at least one. Measure a network that has some."
        )
    kinds = {name: (tensor.dtype, tensor.device) for name, tensor in tensors.items()}
    other = next((name for name, kind in kinds.items() if kind != kinds["inputs"]), None)
    if other is not None:
        raise MeasurementError(
            f"inputs: {_kind(inputs)}, but parameter {other!r} is {_kind(tensors[other])}. "
            "Allowed: one dtype and one device for all. Convert with .to(...)."
        )
    if inputs.dtype not in (torch.float32, torch.float64):
        raise MeasurementError(
            f"inputs: {inputs.dtype} cannot be measured exactly. Allowed: float32 or float64, for "
            "the model too. Convert both with .float() or .double()."
        )
    finite = inputs.detach().flatten(1).isfinite().all(1)
    if not finite.all():
        raise MeasurementError(
            f"inputs: sample {int((~finite).nonzero()[0])} holds values that are not finite. "
            "Allowed: finite numbers. Leave it out or mend it."
        )


def _check_output(trace: Trace, n: int) -> None:
    output = trace.output
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != n:
        found = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output)
        raise MeasurementError(
            f"model: returned {found} for {n} samples. Allowed: one tensor of shape ({n}, N). "
            "Wrap the model so that it flattens or selects its output."
        )
    if not output.requires_grad:
        raise MeasurementError(
            "model: its output does not depend on inputs or parameters in a way that can be "
            "differentiated. Allowed: a differentiable network. Look for detach() or no_grad."
        )
    if not output.isfinite().all():
        raise MeasurementError(
            "model: returned values that are not finite. Allowed: finite outputs. Measure an "
            "earlier checkpoint, or other samples."
        )


def _kind(tensor: Tensor) -> str:
    return f"{tensor.dtype} on {tensor.device}"


def _common(values: list[str | None]) -> str | None:
    """The one value of all chunks, or None."""
    return values[0] if len(set(values)) == 1 else None


def _norms(weight: Tensor) -> tuple[float, float]:
    """Spectral and Frobenius norm in float64."""
    W = weight.detach().to("cpu", torch.float64)
    return float(torch.linalg.matrix_norm(W, 2)), float(torch.linalg.matrix_norm(W))


def _dataset(
    parameters: list[str],
    inputs: Tensor,
    sweeps: list[Sweep],
    weight: str | None,
    norms: tuple[float, float],
) -> xr.Dataset:
    sq_norms = [torch.stack([s.sq_norms[name] for name in parameters], 1) for s in sweeps]
    about_weight = {"input_weight": weight} if weight else {"absent": NO_INPUT_WEIGHT}
    dataset = xr.Dataset(
        {
            "singular_value": (
                ("sample", "mode"),
                torch.cat([s.singular_values for s in sweeps]).numpy(),
            ),
            "parameter_gradient_sq_norm": (
                ("sample", "parameter"),
                torch.cat(sq_norms).cpu().numpy(),
            ),
            "input_norm": (
                "sample",
                torch.linalg.vector_norm(inputs.detach().double().flatten(1), dim=1).cpu().numpy(),
            ),
            "network_output": (
                ("sample", "output"),
                torch.cat([s.output for s in sweeps]).cpu().numpy(),
            ),
            "input_weight_spectral_norm": ((), norms[0], about_weight),
            "input_weight_frobenius_norm": ((), norms[1], about_weight),
        },
        coords={"parameter": np.array(parameters, dtype=object)},
        attrs={"dtype": str(inputs.dtype).removeprefix("torch.")},
    )
    return annotate(dataset, PRIMITIVES)
