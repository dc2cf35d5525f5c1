"""The network itself, out of what people have around it."""

from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from flatness.errors import MeasurementError
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
