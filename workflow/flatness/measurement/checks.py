"""What a network and its inputs must be like to be measured."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from flatness.errors import MeasurementError
from flatness.measurement.tracing import Trace

_DTYPES = (torch.float32, torch.float64)

# What the forward or backward of somebody's network may raise.
_RAISED = (
    *(RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError),
    ArithmeticError,
)


@contextmanager
def refusing_failures(verb: str) -> Iterator[None]:
    """Turn what a network raises while it is called into one line.

    Args:
        verb: what is done with it besides calling, such as "differentiated".

    Raises:
        MeasurementError: in the place of torch's errors; running out of memory stays what it is.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except _RAISED as error:
        reason = str(error).strip().splitlines()
        raise MeasurementError(
            f"model: cannot be called or {verb} on these inputs "
            f"({type(error).__name__}: {reason[0] if reason else ''}). Allowed: a network that "
            "maps them to (samples, N) by operations that autograd can run backwards. Call it "
            "on them yourself, and backward() on the output, to see where it fails."
        ) from error


def check_network_and_inputs(model: nn.Module, inputs: Tensor, chunk_size: int) -> None:
    """Refuse what cannot be measured, before anything is called."""
    if not isinstance(inputs, Tensor):
        raise MeasurementError(
            f"inputs: a {type(inputs).__name__}. Allowed: a torch tensor. Convert with "
            "torch.as_tensor(...)."
        )
    if chunk_size < 1:
        raise MeasurementError(f"chunk_size = {chunk_size}. Allowed: 1 or more. Raise it.")
    tensors = {"inputs": inputs, **dict(model.named_parameters())}
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_nested or tensor.is_meta or is_lazy(tensor):
            raise MeasurementError(
                f"{name}: {_kind(tensor)} without its values in plain order (sparse, nested, lazy "
                "or meta). Allowed: dense tensors that hold values. Convert with .to_dense(), or "
                "load the values."
            )
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
    if inputs.dtype not in _DTYPES:
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


def check_output(trace: Trace, n: int) -> None:
    """Refuse outputs that are not (n, N), differentiable and finite."""
    output = trace.output
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != n or not output.numel():
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
    if output.dtype not in _DTYPES or output.is_meta:
        raise MeasurementError(
            f"model: returned {_kind(output)}. Allowed: float32 or float64, with values. Convert "
            "the output, or the model and inputs."
        )
    if not output.isfinite().all():
        raise MeasurementError(
            "model: returned values that are not finite. Allowed: finite outputs. Measure an "
            "earlier checkpoint, or other samples."
        )


def _kind(tensor: Tensor) -> str:
    return f"{tensor.dtype} on {tensor.device}"
