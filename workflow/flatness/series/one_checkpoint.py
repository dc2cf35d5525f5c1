"""The primitives of a network at one moment of its training."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import xarray as xr
from torch import Tensor, nn
from torch.nn import functional

from flatness.errors import MeasurementError, NotFiniteError
from flatness.measurement.curvature import curvature
from flatness.measurement.measuring import measure

# Options of `measure` that `curvature` has, too.
_OF_BOTH = ("start", "output", "chunk_size", "dtype")


def measure_one(
    model: nn.Module, inputs: Tensor, targets: Tensor | None, options: Mapping[str, Any]
) -> xr.Dataset:
    """What `measure` gives of a network in eval mode, and `curvature` where there are targets.

    The network's mode, module by module, is what it was afterwards.

    Args:
        model: in any mode.
        inputs: (samples, ...); brought to the device of the model.
        targets: (samples,) integers, the classes, or (samples, N); or None.
        options: of `measure`.

    Raises:
        MeasurementError: as `measure` and `curvature`; targets do not fit the inputs, or are given
            for a middle layer.
    """
    if targets is not None and options.get("layer") is not None:
        raise MeasurementError(
            f"targets: are given beside layer = {options['layer']!r}, whose outputs have none. "
            "Allowed: one of them. Leave out the targets."
        )
    device = next((p.device for p in model.parameters()), inputs.device)
    inputs = inputs.to(device)
    with in_eval_mode(model):
        found = measure(model, inputs, **options)
        if targets is None:
            return found
        wanted = _as_outputs(targets, inputs, found.sizes["output"])
        shared = {key: options[key] for key in _OF_BOTH if key in options}
        found = found.merge(curvature(model, inputs, wanted, **shared), join="exact")
    if targets.ndim == 1:
        found = found.assign(label=("sample", targets.cpu().numpy()))
    return found


def left_out(place: str, error: NotFiniteError) -> None:
    """Warn that a checkpoint is not measured: nothing else is lost because a training diverged."""
    warnings.warn(f"{place} is left out: {error}", stacklevel=3)


def check_targets(inputs: Tensor, targets: Tensor | None) -> None:
    """Refuse targets that belong to other inputs, before anything is measured.

    Raises:
        MeasurementError: they do.
    """
    if targets is None:
        return
    if not isinstance(targets, Tensor) or len(targets) != len(inputs) or targets.ndim > 2:
        found = tuple(targets.shape) if isinstance(targets, Tensor) else type(targets).__name__
        raise MeasurementError(
            f"targets: {found}. Allowed: a tensor of {len(inputs)} classes, or one "
            f"({len(inputs)}, N) of what the outputs should be. Pass one for each input."
        )
    if targets.ndim == 1 and (targets.is_floating_point() or targets.dtype == torch.bool):
        raise MeasurementError(
            f"targets: {targets.dtype} of one axis. Allowed: integers, the classes, or "
            f"({len(inputs)}, N) numbers. Convert with .long(), or give them a second axis."
        )


@contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Let every module be in eval mode for a while; methods that change modes are not called."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _as_outputs(targets: Tensor, inputs: Tensor, outputs: int) -> Tensor:
    """(samples, N) as the inputs are; classes one-hot."""
    if targets.ndim == 2:
        return targets.to(inputs)
    least, most = (int(targets.min()), int(targets.max())) if len(targets) else (0, 0)
    if least < 0 or most >= outputs:
        raise MeasurementError(
            f"targets: classes {least} to {most}. Allowed: 0 to {outputs - 1}, as the network has "
            f"{outputs} outputs. Pass one column per output instead where they are no classes."
        )
    return functional.one_hot(targets.long(), outputs).to(inputs)
