"""Measuring in the middle of a training loop."""

import hashlib
import json
import logging
from collections.abc import Collection, Mapping
from inspect import signature
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from flatness.errors import MeasurementError, NotFiniteError
from flatness.measurement.checks import how_to_convert
from flatness.measurement.measuring import measure
from flatness.measurement.selection import choice_in_words
from flatness.series.growing import grown, of_checkpoint
from flatness.series.one_checkpoint import check_targets, left_out, measure_one
from flatness.storage import read_dataset, write_dataset

log = logging.getLogger(__name__)

# What `measure` takes beside the network and the inputs.
_OPTIONS = [*signature(measure).parameters][2:]

# Attributes that say what was measured and how, in words.
_SUBJECT = {"inputs_sha256": "inputs", "targets_sha256": "targets", "measured_with": "options"}


class Recorder:
    """Measures a network while it is trained, and leaves the training as it is.

    Called after an update with the network and the number of updates that it has had, it measures
    the network in eval mode at the iterations asked for. Modes, gradients, parameters, buffers and
    torch's random generators are afterwards what they were, so a training has the same bits with
    and without it.

    With `path` the file holds everything measured so far, whenever the program ends: each
    checkpoint replaces it by a whole one that is longer. A Recorder of a file that is there goes
    on with it. What it holds of an iteration is kept where a training that was started again comes
    to the same weights; other weights are refused, unless `replace` is set.

    Args:
        inputs: (samples, ...), as for `measure`.
        targets: (samples,) integers, the classes, or (samples, N): with them `curvature` is
            measured, too.
        every: a number of iterations, or the iterations themselves.
        path: of a netCDF file, or None to keep the measurements in memory alone.
        replace: whether what the file holds from an iteration on gives way where a training comes
            to that iteration with other weights.
        options: of `measure`, such as `only` or `chunk_size`.

    Raises:
        MeasurementError: targets do not fit the inputs, `every` is no number of iterations, or an
            option is none of `measure`;
            the file was measured on other inputs or with other options.
        StorageError: the file is damaged.

    Cost: that of `measure` and `curvature` for each checkpoint, and one writing of the file.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor | None = None,
        *,
        every: int | Collection[int] = 1,
        path: str | PathLike | None = None,
        replace: bool = False,
        **options: Any,
    ):
        if not isinstance(inputs, Tensor):
            raise MeasurementError(
                f"inputs: a {type(inputs).__name__}. Allowed: a tensor (samples, ...). "
                f"{how_to_convert(inputs)}"
            )
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            raise MeasurementError(
                f"{unknown[0]} = {options[unknown[0]]!r}: no option of flatness.measure. Allowed: "
                f"{', '.join(_OPTIONS)}. Correct or remove it."
            )
        check_targets(inputs, targets)
        self._subject = _subject(inputs, targets, options)
        if isinstance(every, int):
            if every < 1:
                raise MeasurementError(
                    f"every = {every}. Allowed: 1 or more, or the iterations themselves. Raise it."
                )
        else:
            every = frozenset(every)
        self._inputs, self._targets, self._every = inputs, targets, every
        self._path = None if path is None else Path(path)
        self._replace, self._options = replace, options
        self._dataset: xr.Dataset | None = None
        if self._path is not None and self._path.exists():
            self._dataset = read_dataset(self._path)
            self._refuse_another_subject()

    @property
    def dataset(self) -> xr.Dataset:
        """Everything measured so far, as `flatness.measure_checkpoints` returns it.

        Raises:
            MeasurementError: nothing was.
        """
        if self._dataset is None:
            raise MeasurementError(
                "dataset: nothing is measured. Allowed: after a call at an iteration of `every` at "
                "which the network's outputs are finite. Call the Recorder in the training loop, "
                "or measure earlier checkpoints."
            )
        return self._dataset

    def __call__(self, model: nn.Module, iteration: int, **values: float) -> bool:
        """Measure the network if this iteration is one of those asked for.

        Args:
            model: in any mode.
            iteration: how many updates it has had.
            values: numbers to be kept with the measurement, such as `train_loss`.

        Returns:
            Whether it was measured. It is not, with a warning, where its outputs or derivatives
            are not finite, as after a training that diverged.

        Raises:
            MeasurementError: as `measure`; the file holds this or a later iteration of another
                training.
        """
        if isinstance(iteration, bool) or not isinstance(iteration, Integral):
            raise MeasurementError(
                f"iteration: a {type(iteration).__name__}. Allowed: a whole number, after the "
                "model. Call recorder(model, iteration)."
            )
        if not self._is_due(iteration):
            return False
        weights = _checksum(model)
        if self._holds(iteration, weights):
            return False
        try:
            found = measure_one(model, self._inputs, self._targets, self._options)
        except NotFiniteError as error:
            left_out(f"iteration {iteration}", error)
            return False
        found = found.assign(weights_sha256=((), weights))
        new = of_checkpoint(found, iteration, {k: _number(v) for k, v in values.items()})
        new.attrs |= self._subject
        self._dataset = new if self._dataset is None else grown([self._dataset, new])
        if self._path is not None:
            write_dataset(self._dataset, self._path)
        log.info("measured iteration %d", iteration)
        return True

    def _refuse_another_subject(self) -> None:
        for name, value in self._subject.items():
            held = self._dataset.attrs.get(name, value)  # older files do not say
            if held != value:
                raise MeasurementError(
                    f"{self._path}: was measured with other {_SUBJECT[name]} "
                    f"({held[:60] or 'none'}, here {value[:60] or 'none'}). Allowed: "
                    "those that it was begun with. Choose another path."
                )

    def _is_due(self, iteration: int) -> bool:
        if isinstance(self._every, int):
            return iteration % self._every == 0
        return iteration in self._every

    def _holds(self, iteration: int, weights: str) -> bool:
        """Whether the file has this checkpoint; what gives way to it is taken out."""
        if self._dataset is None:
            return False
        iterations = self._dataset["iteration"].to_numpy()
        same = np.flatnonzero(iterations == iteration)
        if len(same) and str(self._dataset["weights_sha256"].to_numpy()[same[0]]) == weights:
            return True
        if not (iterations >= iteration).any():
            return False
        if not self._replace:
            last = iterations.max()
            raise MeasurementError(
                f"{self._path or 'Recorder'}: holds iterations up to {last}, and iteration "
                f"{iteration} has other weights. Allowed: the training that it was begun with. "
                "Choose another path, delete the file, or say replace=True to measure from here on "
                "anew."
            )
        keep = np.flatnonzero(iterations < iteration)
        self._dataset = self._dataset.isel(checkpoint=keep) if len(keep) else None
        return False


def _checksum(model: nn.Module) -> str:
    """SHA-256 of all parameters and buffers."""
    return _digest(model.state_dict())


def _number(value: Any) -> float:
    """A number that somebody keeps, such as a loss that may still be differentiated."""
    return float(value.detach() if isinstance(value, Tensor) else value)


def _digest(tensors: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        if isinstance(tensor, Tensor):
            plain = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}".encode())
            digest.update(plain.flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _subject(inputs: Tensor, targets: Tensor | None, options: Mapping[str, Any]) -> dict[str, str]:
    """What is measured and how, as attributes of the file."""
    how = {name: _in_words(value) for name, value in options.items() if name != "progress"}
    return {
        "inputs_sha256": _digest({"": inputs}),
        "targets_sha256": "" if targets is None else _digest({"": targets}),
        "measured_with": json.dumps(how, sort_keys=True),
    }


def _in_words(value: Any) -> Any:
    if isinstance(value, Collection) and not isinstance(value, str):
        return sorted(map(str, value))
    if value is None or isinstance(value, str | int | float):
        return value
    return choice_in_words(value) if callable(value) else str(value)
