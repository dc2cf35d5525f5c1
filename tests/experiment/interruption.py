"""Stopping a run after some of its checkpoints, and a process that may be stopped at any time."""

import pytest

from flatness.experiment.checkpoints import StateFolder
from flatness.experiment.training import train
from flatness.measurement.run import measure_run


def interrupt_after(checkpoints, monkeypatch, action):
    """Let `action` save some checkpoints and then fail; return their iterations."""
    save, saved = StateFolder.save, []

    def limited(self, checkpoint):
        if len(saved) == checkpoints:
            raise KeyboardInterrupt
        save(self, checkpoint)
        saved.append(checkpoint.iteration)

    with monkeypatch.context() as patch:
        patch.setattr(StateFolder, "save", limited)
        with pytest.raises(KeyboardInterrupt):
            action()
    return saved


def train_and_measure(plan, dataset, output):
    """What the jobs of a run do, one after the other."""
    train(plan, dataset, output, f"{output}.state")
    measure_run(
        output,
        dataset,
        f"{output}.nc",
        dataset_name="digits",
        chunk_size=100,
        minibatch_window=100,
    )
