"""Checkpoints on disk, in safetensors.

While a run trains, each checkpoint is a file of its own in the run's state
folder; the run resumes from the last one. When it ends, all of them become one
file. The folder stays, see `flatness.jobs.states`. Both kinds carry SHA-256 digests,
because safetensors notices a truncated file but not a flipped bit.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from flatness.errors import StorageError
from flatness.experiment.identity import differences, identity
from flatness.storage import atomic_path

log = logging.getLogger(__name__)

# All metadata is one entry: safetensors does not fix the order of several.
_METADATA = "flatness"


@dataclass(frozen=True)
class Checkpoint:
    """A network at one iteration, with what was recorded since the checkpoint before.

    Args:
        iteration: number of updates so far.
        weights: the network's state, by name.
        record: training curve at this iteration, by name (see `training`).
        optimiser: what it remembers, by name; nothing for plain SGD. Not in finished runs.
    """

    iteration: int
    weights: Mapping[str, Tensor]
    record: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor] = field(default_factory=dict)


class StateFolder:
    """The checkpoints of an unfinished run.

    The folder is no output of any rule: the workflow engine deletes declared
    outputs before it starts a job again.

    Args:
        folder: created when the first checkpoint is saved.
        facts: everything that decides the run's bits; files of other facts are not used.
    """

    def __init__(self, folder: str | Path, facts: Mapping[str, Any]):
        self.folder = Path(folder)
        # As they are read back from a file.
        self._facts = json.loads(json.dumps(dict(facts)))

    def save(self, checkpoint: Checkpoint) -> None:
        """Write one checkpoint atomically."""
        tensors = _joined(checkpoint)
        metadata = {
            "identity": identity(self._facts),
            "facts": self._facts,
            "digest": _digest(tensors),
        }
        _write(self._path(checkpoint.iteration), tensors, metadata)

    def resume(self, schedule: Sequence[int]) -> list[Checkpoint]:
        """The sound checkpoints of this run, from the first of the schedule without a gap."""
        found: list[Checkpoint] = []
        for iteration in schedule:
            checkpoint = self._load(iteration)
            if checkpoint is None:
                break
            found.append(checkpoint)
        return found

    def clear(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, iteration: int) -> Path:
        return self.folder / f"{iteration:010d}.safetensors"

    def _load(self, iteration: int) -> Checkpoint | None:
        path = self._path(iteration)
        if not path.exists():
            return None
        try:
            with _opened(path) as (file, metadata):
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except StorageError as error:
            log.warning("not resuming from %s, which cannot be read: %s", path, error.__cause__)
            return None
        if metadata.get("identity") != identity(self._facts):
            found = differences(metadata.get("facts", {}), self._facts)
            log.warning("not resuming from %s, which was made with other facts: %s", path, found)
            return None
        if metadata.get("digest") != _digest(tensors):
            log.warning("not resuming from %s, which is damaged", path)
            return None
        parts = (_part(tensors, prefix) for prefix in ("weights/", "record/", "optimiser/"))
        return Checkpoint(iteration, *parts)


@dataclass(frozen=True)
class TrainedRun:
    """A finished run: its record at once, its weights as they are asked for.

    Args:
        path: the file.
        iterations: the checkpoints' iterations.
        record: each curve, stacked over checkpoints, or joined for `minibatch_loss`.
        facts: what the run was made from, and `diverged_at`: the iteration whose loss
            was the first that is not finite, or None.
        digests: of each checkpoint's weights and of the record.
        kept: the checkpoints whose weights are in the file, all unless some were dropped.
    """

    path: Path
    iterations: tuple[int, ...]
    record: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    digests: Mapping[str, str]
    kept: tuple[int, ...]

    def weights(self, iteration: int) -> dict[str, Tensor]:
        """The network's state at one checkpoint.

        Raises:
            StorageError: the checkpoint is damaged, or was not kept.
        """
        if iteration not in self.kept:
            raise StorageError(
                f"{self.path}: holds no weights of iteration {iteration}. Allowed: "
                f"{', '.join(map(str, self.kept)) or 'none, its weights were not kept'}. For all "
                "of them set training.keep_checkpoints to all, delete the run's measurements and "
                "start again; it will be trained anew."
            )
        prefix = f"{iteration}/"
        with _opened(self.path) as (file, _):
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            tensors = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
        _verify(self.path, f"checkpoint {iteration}", tensors, self.digests[str(iteration)])
        return tensors


def write_run(
    path: str | Path, checkpoints: Sequence[Checkpoint], tail: Tensor, facts: Mapping[str, Any]
) -> None:
    """Write a finished run as one file, atomically.

    Args:
        path: where to.
        checkpoints: all of them, in order.
        tail: mini-batch losses after the last checkpoint, up to a divergence.
        facts: see `TrainedRun`.
    """
    record = {
        name: torch.stack([checkpoint.record[name] for checkpoint in checkpoints])
        for name in checkpoints[0].record
        if name != "minibatch_loss"
    }
    record["minibatch_loss"] = torch.cat(
        [*(checkpoint.record["minibatch_loss"] for checkpoint in checkpoints), tail]
    )
    digests = {str(c.iteration): _digest(c.weights) for c in checkpoints}
    digests["record"] = _digest(record)
    weights = {checkpoint.iteration: checkpoint.weights for checkpoint in checkpoints}
    _save(path, weights, record, [*weights], digests, facts)


def write_kept(path: str | Path, run: TrainedRun, kept: Sequence[int]) -> None:
    """Write a finished run once more, atomically, with the weights of some checkpoints only.

    Raises:
        StorageError: the weights are damaged, or not there.
    """
    weights = {iteration: run.weights(iteration) for iteration in kept}
    _save(path, weights, run.record, run.iterations, run.digests, run.facts)


def read_run(path: str | Path) -> TrainedRun:
    """Open a finished run.

    Raises:
        StorageError: the file is absent or damaged.
    """
    with _opened(path) as (file, metadata):
        if not {"iterations", "digests", "facts"} <= set(metadata):
            raise StorageError(f"{path}: is no finished run. Delete it and start again.")
        names = list(file.keys())
        record = {
            name.removeprefix("record/"): file.get_tensor(name)
            for name in names
            if name.startswith("record/")
        }
    _verify(path, "the training curve", record, metadata["digests"]["record"])
    iterations = tuple(metadata["iterations"])
    there = {name.partition("/")[0] for name in names}
    return TrainedRun(
        Path(path),
        iterations,
        record,
        metadata["facts"],
        metadata["digests"],
        tuple(iteration for iteration in iterations if str(iteration) in there),
    )


def _save(
    path: str | Path,
    weights: Mapping[int, Mapping[str, Tensor]],
    record: Mapping[str, Tensor],
    iterations: Sequence[int],
    digests: Mapping[str, str],
    facts: Mapping[str, Any],
) -> None:
    tensors = {
        f"{iteration}/{name}": tensor
        for iteration, of_checkpoint in weights.items()
        for name, tensor in of_checkpoint.items()
    } | {f"record/{name}": tensor for name, tensor in record.items()}
    metadata = {
        "iterations": list(iterations),
        "digests": dict(digests),
        "facts": dict(facts),
    }
    _write(path, tensors, metadata)


def _write(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write a file atomically, its metadata behind a digest of their own."""
    text = json.dumps(metadata)
    sealed = {_METADATA: hashlib.sha256(text.encode()).hexdigest() + text}
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, sealed)
        except SafetensorError as error:  # what safetensors makes of a full disk
            raise OSError(error) from error


@contextmanager
def _opened(path: str | Path):
    """The file and its metadata."""
    try:
        with safe_open(path, "pt") as file:
            yield file, _unsealed((file.metadata() or {}).get(_METADATA, ""))
    except (OSError, SafetensorError, ValueError) as error:
        raise StorageError(
            f"{path}: is absent or no readable checkpoint file ({error}). It is not used. "
            "Delete it and start again; the run will be trained anew."
        ) from error


def _unsealed(sealed: str) -> dict[str, Any]:
    """The metadata behind their digest, or a ValueError."""
    digest, text = sealed[:64], sealed[64:]
    if digest != hashlib.sha256(text.encode()).hexdigest():
        raise ValueError("its description is damaged or of another program")
    return json.loads(text)


def _verify(path: str | Path, what: str, tensors: Mapping[str, Tensor], digest: str) -> None:
    found = _digest(tensors)
    if found != digest:
        raise StorageError(
            f"{path}: {what} is damaged, its digest is {found}. Allowed: {digest}. It is not used. "
            "Delete the file and start again; the run will be trained anew."
        )


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _joined(checkpoint: Checkpoint) -> dict[str, Tensor]:
    parts = {
        "weights": checkpoint.weights,
        "record": checkpoint.record,
        "optimiser": checkpoint.optimiser,
    }
    return {f"{part}/{name}": each for part, of in parts.items() for name, each in of.items()}


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
