"""A prepared dataset and short training plans."""

from dataclasses import replace
from pathlib import Path

import pytest

from digits_settings import DIGITS
from flatness.experiment.prepared import prepare
from flatness.experiment.training import TrainingPlan

PLAN = TrainingPlan(
    run="short",
    network={"name": "mlp", "activation": "tanh", "hidden_width": 30, "hidden_layers": 2},
    loss="half_squared_error",
    learning_rate=0.1,
    batch_size=20,
    seed=0,
    iterations=150,
    early_checkpoints=4,
    late_checkpoints=4,
    device="cpu",
    threads=1,
)


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """The prepared digits."""
    path = tmp_path_factory.mktemp("digits") / "digits.nc"
    prepare(DIGITS, Path("nowhere"), False, path, {})
    return path


@pytest.fixture
def plan():
    """A function that varies a short plan."""
    return lambda **changes: replace(PLAN, **changes)
