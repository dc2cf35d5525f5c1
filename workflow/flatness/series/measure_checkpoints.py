"""Measuring stored checkpoints of one network."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from os import PathLike
from typing import Any

import xarray as xr
from torch import Tensor, nn

from flatness.errors import MeasurementError, NotFiniteError, StorageError
from flatness.progress.bar import progress as progress_line
from flatness.series.checkpoint_files import checkpoint_files
from flatness.series.growing import grown, of_checkpoint
from flatness.series.one_checkpoint import check_targets, left_out, measure_one
from flatness.weights.loading import load_weights, read_weights
from flatness.weights.place import Place


def measure_checkpoints(
    model: nn.Module,
    checkpoints: Mapping[int, Mapping[str, Tensor] | str | PathLike]
    | Sequence[str | PathLike]
    | str
    | PathLike,
    inputs: Tensor,
    targets: Tensor | None = None,
    *,
    iteration_after: str | None = None,
    weights_entry: str | None = None,
    weights_prefix: str | None = None,
    progress: bool | None = None,
    **options: Any,
) -> xr.Dataset:
    """The primitives of one network with the weights that it had during its training.

    Args:
        model: the network, of the dtype in which it is to be measured; a copy is given the
            weights, in eval mode.
        checkpoints: by iteration, a state dict or a file of one (see docs/what_is_read.md); or
            files, or a pattern of files such as `run/epoch_*.pt`, whose iterations are the one
            number in which their names differ.
        inputs: (samples, ...), the same for all, as for `measure`.
        targets: (samples,) integers, the classes, or (samples, N): with them `curvature` is
            measured, too. None leaves it out.
        iteration_after: the text before the iteration in names of files, such as "step=", where
            names differ in several numbers.
        weights_entry: which state dict of files that hold several, such as "ema".
        weights_prefix: take only weights whose names begin with it, without it.
        progress: whether a line tells how far it is, at what rate, and how long it will take;
            None for yes if the standard error is a terminal and it takes some seconds.
        options: of `measure`, such as `only` or `layer`.

    Returns:
        What `measure` and `curvature` return with one dimension more, `checkpoint`, in the order
        of the coordinate `iteration`. `flatness.quantities` and `flatness.bounds` are functions of
        it, `flatness.plot.trends` draws it. A checkpoint whose outputs or derivatives are not
        finite is left out, with a warning.

    Raises:
        MeasurementError: as `measure` and `curvature`; there is no checkpoint; names of iterations
            are no whole numbers; weights do not fit; networks have other layers at some.
        StorageError: a file of weights cannot be read, or its name does not tell the iteration.

    Cost: that of `measure` and `curvature` for each checkpoint.
    """
    if isinstance(checkpoints, str | PathLike):
        checkpoints = [checkpoints]
    if not isinstance(checkpoints, Mapping):
        checkpoints = checkpoint_files(
            [str(file) for file in checkpoints],
            "checkpoints =",
            iteration_after,
            "give the text before it as iteration_after",
        )
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
    network = deepcopy(model)

    def take_weights(iteration: int) -> None:
        place = f"checkpoints[{iteration}]"
        weights = checkpoints[iteration]
        if isinstance(weights, Mapping):
            _load_state(network, weights, place)
        else:
            read = read_weights(str(weights), Place.in_a_call(place), weights_entry, weights_prefix)
            load_weights(network, read)

    iterations = sorted(checkpoints)
    # Everything that is wrong with a file is found before anything is measured.
    for iteration in iterations:
        take_weights(iteration)
    measured = []
    with progress_line(progress, "measured", "checkpoint", len(iterations)) as line:
        for iteration in iterations:
            take_weights(iteration)
            try:
                found = measure_one(network, inputs, targets, {"progress": False} | options)
                measured.append(of_checkpoint(found, iteration, {}))
            except NotFiniteError as error:
                left_out(f"checkpoints[{iteration}]", error)
            line.finish()
    if not measured:
        raise NotFiniteError(
            "checkpoints: none has finite outputs and derivatives. Allowed: at least one that has. "
            "Measure earlier ones."
        )
    return grown(measured)


def _load_state(network: nn.Module, state: Mapping[str, Tensor], place: str) -> None:
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise StorageError(
            f"{place}: does not fit the network ({' '.join(str(error).split())[:300]}). Allowed: "
            "the names and shapes of its state_dict(). Choose weights of this network."
        ) from None
