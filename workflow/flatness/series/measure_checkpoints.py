"""Measuring stored checkpoints of one network."""

import sys
from collections.abc import Mapping
from copy import deepcopy
from os import PathLike
from typing import Any

import xarray as xr
from torch import Tensor, nn
from tqdm import tqdm

from flatness.command.weights import load_weights, read_weights
from flatness.errors import MeasurementError, StorageError
from flatness.series.growing import grown, of_checkpoint
from flatness.series.one_checkpoint import check_targets, measure_one


def measure_checkpoints(
    model: nn.Module,
    checkpoints: Mapping[int, Mapping[str, Tensor] | str | PathLike],
    inputs: Tensor,
    targets: Tensor | None = None,
    *,
    progress: bool | None = None,
    **options: Any,
) -> xr.Dataset:
    """The primitives of one network with the weights that it had during its training.

    Args:
        model: the network, of the dtype in which it is to be measured; a copy is given the
            weights, in eval mode.
        checkpoints: by iteration, a state dict or a file of one (see the command's --weights).
        inputs: (samples, ...), the same for all, as for `measure`.
        targets: (samples,) integers, the classes, or (samples, N): with them `curvature` is
            measured, too. None leaves it out.
        progress: whether a line tells how far it is, at what rate, and how long it will take;
            None for yes if the standard error is a terminal.
        options: of `measure`, such as `only` or `layer`.

    Returns:
        What `measure` and `curvature` return with one dimension more, `checkpoint`, in the order
        of the coordinate `iteration`. `flatness.quantities` and `flatness.bounds` are functions of
        it, `flatness.plot.trends` draws it.

    Raises:
        MeasurementError: as `measure` and `curvature`; there is no checkpoint; names of iterations
            are no whole numbers; weights do not fit; networks have other layers at some.
        StorageError: a file of weights cannot be read.

    Cost: that of `measure` and `curvature` for each checkpoint.
    """
    if not checkpoints:
        raise MeasurementError(
            "checkpoints = {}. Allowed: at least one, {iteration: state_dict or path}. Pass some."
        )
    for iteration in checkpoints:
        if isinstance(iteration, bool) or not isinstance(iteration, int) or iteration < 0:
            raise MeasurementError(
                f"checkpoints: {iteration!r} is no iteration. Allowed: whole numbers from 0 on. "
                "Name each checkpoint by the updates that its network has had."
            )
    check_targets(inputs, targets)
    # Everything that is wrong with a file is found before anything is measured.
    network = deepcopy(model)
    for iteration in sorted(checkpoints):
        _load(network, iteration, checkpoints[iteration])
    shown = sys.stderr.isatty() if progress is None else progress
    measured = []
    for iteration in tqdm(sorted(checkpoints), unit="checkpoint", disable=not shown):
        _load(network, iteration, checkpoints[iteration])
        found = measure_one(network, inputs, targets, options)
        measured.append(of_checkpoint(found, iteration, {}))
    return grown(measured)


def _load(
    network: nn.Module, iteration: int, weights: Mapping[str, Tensor] | str | PathLike
) -> None:
    place = f"checkpoints[{iteration}]"
    if not isinstance(weights, Mapping):
        _load_file(network, place, str(weights))
        return
    try:
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise StorageError(
            f"{place}: does not fit the network ({' '.join(str(error).split())[:300]}). Allowed: "
            "the names and shapes of its state_dict(). Choose weights of this network."
        ) from None


def _load_file(network: nn.Module, place: str, path: str) -> None:
    try:
        load_weights(network, read_weights(path), "")
    except StorageError as error:
        # The same is said of the command's options.
        said = str(error).removeprefix("--weights ").replace(" of FACTORY ", "")
        said = said.replace(", or --arguments, that belong together", " of this network")
        raise StorageError(
            f"{place} = {said} A state dict may stand in the place of its file."
        ) from None
