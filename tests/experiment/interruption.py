"""Stopping a run after some of its checkpoints."""

import pytest

from flatness.experiment.checkpoints import StateFolder


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
