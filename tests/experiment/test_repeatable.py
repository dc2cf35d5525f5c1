"""Operations that have no repeatable implementation are named in the log."""

import logging
import warnings

import pytest
import torch
from torch.utils import deterministic

from flatness.experiment.repeatable import deterministic_or_named, repeatable_operations


def _put():
    """Of the few operations that torch knows to differ on a CPU, too."""
    torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2))


def test_an_operation_is_named_once(caplog):
    with deterministic_or_named():
        for _ in range(3):
            _put()
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1
    assert messages[0].startswith("the operation put_ has no repeatable implementation")
    assert "set device to cpu." in messages[0]
    assert caplog.records[0].levelno == logging.WARNING


def test_other_warnings_pass():
    with pytest.warns(UserWarning, match="something else"), deterministic_or_named():
        warnings.warn("something else", UserWarning, stacklevel=1)


@pytest.mark.parametrize("failing", [False, True])
def test_settings_are_put_back(failing):
    def settings():
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            deterministic.fill_uninitialized_memory,
            warnings.showwarning,
        )

    before = settings()
    try:
        with deterministic_or_named():
            assert torch.is_deterministic_algorithms_warn_only_enabled()
            assert not deterministic.fill_uninitialized_memory
            if failing:
                raise ValueError
    except ValueError:
        pass
    assert settings() == before


def test_the_cpu_is_left_alone():
    with repeatable_operations(torch.device("cpu")):
        assert not torch.are_deterministic_algorithms_enabled()
    with repeatable_operations(torch.device("cuda")):
        assert torch.are_deterministic_algorithms_enabled()
