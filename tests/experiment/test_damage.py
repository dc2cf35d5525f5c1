"""Files with flipped bits or a lost end: refused, or what they say is what was written."""

import logging

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flatness.errors import StorageError
from flatness.experiment.checkpoints import Checkpoint, StateFolder, read_run, write_run
from flatness.storage import read_dataset, write_dataset

FACTS = {"plan": {"seed": 0, "learning_rate": 0.1}, "diverged_at": None}


def _checkpoint(iteration):
    generator = torch.Generator().manual_seed(iteration)
    return Checkpoint(
        iteration,
        {"weight": torch.randn(6, 4, generator=generator), "bias": torch.randn(6)},
        {"minibatch_loss": torch.rand(5), "train_loss": torch.tensor(0.5)},
    )


def _tensors(named):
    return {name: tensor.numpy().tobytes() for name, tensor in named.items()}


class Measurements:
    def __init__(self, folder):
        self.path = folder / "run.nc"
        write_dataset(
            xr.Dataset(
                {
                    "curve": ("checkpoint", np.linspace(0, 1, 1000)),
                    "value": ("checkpoint", np.arange(1000)),
                    "name": ("layer", np.array(["one", "two"], dtype=object)),
                },
                attrs={"seed": 0, "settings": '{"iterations": 100}'},
            ),
            self.path,
        )

    def read(self):
        return read_dataset(self.path).to_dict()


class FinishedRun:
    def __init__(self, folder):
        self.path = folder / "checkpoints.safetensors"
        write_run(self.path, [_checkpoint(0), _checkpoint(5)], torch.empty(0), FACTS)

    def read(self):
        run = read_run(self.path)
        weights = [_tensors(run.weights(iteration)) for iteration in run.iterations]
        return run.iterations, run.facts, _tensors(run.record), weights


class ResumeState:
    def __init__(self, folder):
        self.state = StateFolder(folder, {"run": "one"})
        self.state.save(_checkpoint(0))
        (self.path,) = folder.iterdir()

    def read(self):
        found = self.state.resume([0])
        if not found:
            raise StorageError("not resumed")
        return found[0].iteration, _tensors(found[0].weights), _tensors(found[0].record)


def _damage(whole: bytes, cut: bool, places: list[tuple[float, int]]) -> bytes:
    """The bytes before a place, or all of them with some bits flipped."""
    if cut:
        return whole[: int(places[0][0] * len(whole))]
    damaged = bytearray(whole)
    for place, bit in places:
        damaged[int(place * len(whole))] ^= 1 << bit
    return bytes(damaged)


@pytest.mark.parametrize("kind", [Measurements, FinishedRun, ResumeState])
def test_damage_is_refused_or_without_effect(kind, tmp_path):
    logging.disable(logging.WARNING)
    written = kind(tmp_path)
    whole, said = written.path.read_bytes(), written.read()
    refused = 0
    # Half of the places in the first 4 kB, where a file describes itself.
    head = min(1.0, 4096 / len(whole))
    place = st.floats(0, 1, exclude_max=True) | st.floats(0, head, exclude_max=True)

    @settings(
        max_examples=300,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(cut=st.booleans(), places=st.lists(st.tuples(place, st.integers(0, 7)), min_size=1))
    def read_damaged(cut, places):
        nonlocal refused
        written.path.write_bytes(_damage(whole, cut, places))
        try:
            read = written.read()
        except StorageError:
            refused += 1
        else:
            assert read == said

    try:
        read_damaged()
    finally:
        logging.disable(logging.NOTSET)
    assert refused > 150
