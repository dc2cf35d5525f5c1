"""The network itself, out of what people have around it, and in a dtype that can be measured."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from flatness.errors import MeasurementError
from flatness.measurement.checks import DTYPES, RAISED, check_parameters
from flatness.measurement.exported import is_program, training_operation


def unwrapped(model: Any) -> Any:
    """A network without DataParallel or DistributedDataParallel, or that of an exported program.

    Args:
        model: what was given, of any type.

    Raises:
        MeasurementError: it holds TorchScript, or was exported in training mode.
    """
    if is_program(model):
        model = model.module()
    while isinstance(model, DataParallel | DistributedDataParallel):
        model = model.module
    if not isinstance(model, nn.Module):
        return model
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            where = f"module {name!r} is TorchScript" if name else "is TorchScript"
            raise MeasurementError(
                f"model: {where}, in which parameters cannot be differentiated one by one. "
                "Allowed: the network that it was made from. Build that, call "
                "load_state_dict(SCRIPT.state_dict()) and eval(), and measure it."
            )
    trained = training_operation(model)
    if trained is not None:
        raise MeasurementError(
            f"model: was exported in training mode ({trained}), in which samples may mix. Allowed: "
            "a program that was exported in eval mode. Call eval() and torch.export.export again."
        )
    return model


def converted(model: Any, tensors: tuple[Any, ...], dtype: torch.dtype | None) -> tuple[Any, ...]:
    """A copy of a network, and tensors, in another dtype.

    Args:
        model: the network; is left as it is.
        tensors: inputs and targets; integers stay what they are.
        dtype: None for that which they have.

    Returns:
        The copy and the tensors, or what was given where there is nothing to do.

    Raises:
        MeasurementError: the dtype is none of float32 and float64, the network cannot be copied,
            or holds complex numbers, which would lose their imaginary part.
    """
    if dtype is None or not isinstance(model, nn.Module):
        return model, *tensors
    if dtype not in DTYPES:
        raise MeasurementError(
            f"dtype = {dtype}. Allowed: torch.float32 or torch.float64. Choose one of these."
        )
    check_parameters(dict(model.named_parameters()))
    for name, buffer in model.named_buffers():
        if buffer.is_complex():
            raise MeasurementError(
                f"model: buffer {name!r} is {buffer.dtype}, which cannot be converted to {dtype}. "
                "Allowed: real numbers. Convert the network yourself, and leave out dtype."
            )
    try:
        model = copy.deepcopy(model).to(dtype)
    except RAISED as error:
        raise MeasurementError(
            f"dtype = {dtype}: the network cannot be copied ({type(error).__name__}: {error}). "
            "Allowed: one that copy.deepcopy copies. Convert network and inputs yourself, with "
            ".float() or .double(), and leave out dtype."
        ) from error
    return model, *(_as(tensor, dtype) for tensor in tensors)


def _as(tensor: Any, dtype: torch.dtype) -> Any:
    is_real = isinstance(tensor, Tensor) and tensor.is_floating_point()
    return tensor.to(dtype) if is_real else tensor
