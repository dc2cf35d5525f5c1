"""What a network and its inputs must be like to be measured."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.data import DataLoader, Dataset

from flatness.errors import MeasurementError, NotFiniteError
from flatness.measurement.exported import own_modules

_DTYPES = (torch.float32, torch.float64)

# What to do with complex numbers. Casting them would drop their imaginary part.
AS_REAL = (
    "Allowed: real numbers. Hold the real and imaginary part as one real parameter, "
    "torch.view_as_real(...), and let forward begin with torch.view_as_complex of it."
)
# What the forward or backward of somebody's network may raise.
RAISED = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    AssertionError,
    ArithmeticError,
)

# What torch says of some mistakes, and what to do about each.
_HINTS = (
    (
        "use_reentrant",
        "Allowed: checkpoints with use_reentrant=False, or none. Pass that to "
        "torch.utils.checkpoint, or switch checkpointing off, in transformers by "
        "gradient_checkpointing_disable().",
    ),
    (
        "Guard failed",
        "Allowed: an exported program that takes any number of samples. Export it with "
        "dynamic_shapes={NAME: {0: torch.export.Dim('samples')}}, NAME that of forward's argument.",
    ),
    (
        "must have the same dtype",
        "Allowed: numbers of one dtype wherever they meet. Convert network and inputs yourself, "
        "with copy.deepcopy(model).float(), and switch checkpointing off, which calculates again "
        "in the network's own dtype.",
    ),
    (
        "required positional argument",
        "Allowed: a network of one tensor. Wrap it in a module whose forward takes one and holds "
        "the other arguments, or takes them out of it.",
    ),
)


def hint(error: Exception) -> str | None:
    """What to do about an error that torch raises, where that is known."""
    return next((advice for words, advice in _HINTS if words in str(error)), None)


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
    except RAISED as error:
        reason = str(error).strip().splitlines()
        advice = hint(error) or (
            "Allowed: a network that maps them to (samples, N) by operations that autograd can run "
            "backwards. Call it on them yourself, and backward() on the output, to see where it "
            "fails."
        )
        raise MeasurementError(
            f"model: cannot be called or {verb} on these inputs "
            f"({type(error).__name__}: {reason[0] if reason else ''}). {advice}"
        ) from error


def check_network_and_inputs(
    model: nn.Module,
    inputs: Tensor,
    chunk_size: int,
    start: str | None,
    dtype: torch.dtype | None,
) -> None:
    """Refuse what cannot be measured, before anything is called.

    Args:
        model: the network.
        inputs: what it is given.
        chunk_size: as for `measure`.
        start: as for `measure`: where there is one, inputs need not be differentiable.
        dtype: as for `measure`: what all numbers are converted to, None for what they are.
    """
    if not isinstance(model, nn.Module):
        raise MeasurementError(
            f"model: a {type(model).__name__}. Allowed: a torch.nn.Module in eval mode. Put a "
            "function into the forward of a module that holds what it reads as parameters; of a "
            "class, pass an instance."
        )
    if not isinstance(inputs, Tensor):
        raise MeasurementError(
            f"inputs: a {type(inputs).__name__}. Allowed: a torch tensor (samples, ...). "
            f"{how_to_convert(inputs)}"
        )
    if dtype is not None and dtype not in _DTYPES:
        raise MeasurementError(
            f"dtype = {dtype}. Allowed: torch.float32 or torch.float64. Choose one of these."
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
    training = next((name for name, module in own_modules(model) if module.training), None)
    if training is not None:
        raise MeasurementError(
            f"model: module {training or type(model).__name__!r} is in training mode, in which "
            "samples may mix. Allowed: eval mode. Call model.eval() first."
        )
    if inputs.ndim < (2 if start is None else 1) or len(inputs) == 0:
        raise MeasurementError(
            f"inputs: shape {tuple(inputs.shape)}. Allowed: (samples, ...) with at least one "
            "sample. Add the sample axis, or pass more samples."
        )
    if len(tensors) == 1:
        raise MeasurementError(
            "model: has no parameters. Allowed: at least one. Measure a network that has some."
        )
    parameters = {name: tensors[name] for name in tensors if name != "inputs"}
    _check_parameters(parameters)
    if start is None:
        _check_inputs(model, inputs)
    like = inputs if start is None else next(iter(parameters.values()))
    which = "inputs" if start is None else f"parameter {next(iter(parameters))!r}"
    for name, tensor in parameters.items():
        converted = dtype is not None or tensor.dtype == like.dtype
        if not converted or tensor.device != like.device:
            raise MeasurementError(
                f"{which}: {_kind(like)}, but parameter {name!r} is {_kind(tensor)}. "
                "Allowed: one dtype and one device for all. Convert with .to(...), or give "
                "dtype=torch.float32 to measure a copy in that dtype."
            )
    if inputs.device != like.device:
        raise MeasurementError(
            f"inputs: on {inputs.device}, but the parameters are on {like.device}. Allowed: one "
            "device for all. Convert with .to(...)."
        )
    if dtype is None and like.dtype not in _DTYPES:
        raise MeasurementError(
            f"{which}: {like.dtype} cannot be measured exactly. Allowed: float32 or float64, for "
            "the model too. Give dtype=torch.float32 to measure a copy in that dtype, or convert "
            "both with .float() or .double()."
        )
    if inputs.is_floating_point():
        finite = inputs.detach().reshape(len(inputs), -1).isfinite().all(1)
        if not finite.all():
            raise MeasurementError(
                f"inputs: sample {int((~finite).nonzero()[0])} holds values that are not finite. "
                "Allowed: finite numbers. Leave it out or mend it."
            )


def _check_parameters(parameters: Mapping[str, Tensor]) -> None:
    """Refuse complex numbers and integers, where converting them would not be the answer."""
    for name, parameter in parameters.items():
        if parameter.is_complex():
            raise MeasurementError(f"model: parameter {name!r} is {parameter.dtype}. {AS_REAL}")
        if not parameter.is_floating_point():
            raise MeasurementError(
                f"model: parameter {name!r} is {parameter.dtype}, which has no derivative. "
                "Allowed: float32 or float64. Register it as a buffer, not as a parameter."
            )


def _check_inputs(model: nn.Module, inputs: Tensor) -> None:
    """Refuse inputs that cannot be differentiated."""
    if inputs.is_complex():
        raise MeasurementError(
            f"inputs: {inputs.dtype}. Allowed: float32 or float64. Pass "
            "torch.view_as_real(inputs), and wrap the network in one whose forward begins with "
            "torch.view_as_complex of them."
        )
    if not inputs.is_floating_point():
        embeddings = [
            name
            for name, module in model.named_modules()
            if name and isinstance(module, nn.Embedding | nn.EmbeddingBag)
        ]
        start = embeddings[0] if embeddings else "NAME"
        of = "" if embeddings else " with the name of the module that embeds them"
        raise MeasurementError(
            f"inputs: {inputs.dtype}, which has no derivative. Allowed: float32 or float64, or a "
            "start behind which numbers have one. For tokens call flatness.measure(model, inputs, "
            f"start={start!r}){of}, for the map from their embeddings to the output; convert "
            "numbers, such as pixels, with .to(...)."
        )


def check_output(output: Tensor, where_it_ends: Callable[[], str | None]) -> None:
    """Refuse outputs that are not differentiable and finite.

    Args:
        output: (n, N), of the network.
        where_it_ends: finds out in which modules the gradient ends, where there is none.
    """
    if not output.requires_grad:
        place = where_it_ends()
        raise MeasurementError(
            "model: its output has no gradient: it does not depend on inputs or parameters in a "
            f"way that can be differentiated{f'; the gradient ends {place}' if place else ''}. "
            "Allowed: a differentiable network. Look for detach() or no_grad()."
        )
    if output.dtype not in _DTYPES or output.is_meta:
        raise MeasurementError(
            f"model: returned {_kind(output)}. Allowed: float32 or float64, with values. Convert "
            "the output, or the model and inputs, or give dtype=torch.float32."
        )
    if not output.isfinite().all():
        raise NotFiniteError(
            "model: returned values that are not finite. Allowed: finite outputs. Measure an "
            "earlier checkpoint, or other samples."
        )


def _kind(tensor: Tensor) -> str:
    return f"{tensor.dtype} on {tensor.device}"


def how_to_convert(inputs: object) -> str:
    """What to do with inputs that are no tensor."""
    if isinstance(inputs, DataLoader):
        return "Take a batch: inputs, targets = next(iter(loader))."
    if isinstance(inputs, Dataset | list | tuple):
        return "Stack them with torch.stack."
    return "Convert with torch.as_tensor(...)."
