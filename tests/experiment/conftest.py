"""A prepared dataset and short training plans."""

from dataclasses import replace
from pathlib import Path

import pytest

from flatness.experiment.prepared import prepare
from tests.experiment.short_run import DIGITS, PLAN


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
