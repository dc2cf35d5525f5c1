"""What stays of a run's checkpoints."""

import os

import pytest
import torch

from flatness.errors import StorageError
from flatness.experiment import thinning
from flatness.experiment.checkpoints import Checkpoint, read_run, write_run

ITERATIONS = (0, 10, 25)


@pytest.fixture
def folder(tmp_path):
    """A finished run of three checkpoints."""
    generator = torch.Generator().manual_seed(0)

    def checkpoint(iteration):
        weights = {
            "layer.weight": torch.rand(3, 2, generator=generator),
            "layer.bias": torch.ones(3),
        }
        record = {
            "train_loss": torch.rand((), generator=generator),
            "minibatch_loss": torch.rand(10, generator=generator),
        }
        return Checkpoint(iteration, weights, record)

    path = tmp_path / "run" / thinning.WHOLE
    path.parent.mkdir()
    write_run(path, [checkpoint(i) for i in ITERATIONS], torch.rand(2), {"plan": {"seed": 3}})
    return path.parent


def _files(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize(("keep", "kept"), [("last", (25,)), ("none", ())])
def test_curve_and_facts_stay_and_weights_as_asked(folder, keep, kept):
    before = read_run(folder / thinning.WHOLE)
    weights = before.weights(25)
    thinning.thin(folder, keep)
    assert _files(folder) == [thinning.THINNED]
    after = read_run(folder / thinning.THINNED)
    assert after.kept == kept
    assert (after.iterations, after.facts) == (before.iterations, before.facts)
    assert all(torch.equal(after.record[name], before.record[name]) for name in before.record)
    for iteration in kept:
        for name, tensor in after.weights(iteration).items():
            assert torch.equal(tensor, weights[name])
    with pytest.raises(StorageError, match=r"holds no weights of iteration 10.*start again"):
        after.weights(10)


def test_all_changes_nothing(folder):
    before = (folder / thinning.WHOLE).read_bytes()
    thinning.thin(folder, "all")
    assert _files(folder) == [thinning.WHOLE]
    assert (folder / thinning.WHOLE).read_bytes() == before


def test_last_then_none_then_last(folder, caplog):
    thinning.thin(folder, "last")
    thinning.thin(folder, "none")
    assert read_run(folder / thinning.THINNED).kept == ()
    thinning.thin(folder, "last")
    assert read_run(folder / thinning.THINNED).kept == ()
    assert "are gone" in caplog.text


def test_an_interruption_before_the_deletion_is_completed(folder, monkeypatch):
    whole = (folder / thinning.WHOLE).read_bytes()
    thinning.thin(folder, "last")
    (folder / thinning.WHOLE).write_bytes(whole)
    thinned = (folder / thinning.THINNED).read_bytes()
    thinning.thin(folder, "last")
    assert _files(folder) == [thinning.THINNED]
    assert (folder / thinning.THINNED).read_bytes() == thinned


@pytest.mark.parametrize("keep", ["last", "none"])
def test_a_damaged_run_is_left_as_it_is(folder, keep):
    path = folder / thinning.WHOLE
    damaged = bytearray(path.read_bytes())
    assert read_run(path).iterations == ITERATIONS
    damaged[-1] ^= 1  # of the record, the last tensor in the file
    path.write_bytes(damaged)
    with pytest.raises(StorageError, match="is damaged"):
        thinning.thin(folder, keep)
    assert _files(folder) == [thinning.WHOLE]


def test_only_what_is_measured_is_thinned(folder, tmp_path):
    measurements, layer = tmp_path / "run.nc", tmp_path / "layer.nc"
    runs = {str(folder): [str(measurements), str(layer)], str(tmp_path / "absent"): []}
    measurements.touch()
    thinning.thin_measured(runs, "none")
    assert _files(folder) == [thinning.WHOLE]
    layer.touch()
    os.utime(layer, ns=(0, 0))  # older than the checkpoints
    thinning.thin_measured(runs, "none")
    assert _files(folder) == [thinning.WHOLE]
    os.utime(layer)
    thinning.thin_measured(runs, "none")
    assert _files(folder) == [thinning.THINNED]
