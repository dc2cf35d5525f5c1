"""With how many threads a command computes where nobody says, and how they wait."""

import os
import subprocess
import sys

import pytest

from flatness.storage import read_dataset


@pytest.fixture
def measured(here, command):
    """A function: the threads recorded, and what OpenMP says of its settings."""

    def run(*words, **variables):
        usual = command()
        at = usual.index("--threads")
        settings = {"OMP_DISPLAY_ENV": "true"} | variables
        known = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
        result = subprocess.run(
            [sys.executable, "-m", "flatness", *usual[:at], *usual[at + 2 :], *words],
            env=known | settings,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert result.returncode == 0, result.stderr
        return read_dataset(here / "out/found.nc").attrs["threads"], result.stderr

    return run


def test_one_thread_unless_something_is_said(measured):
    threads, said = measured()
    assert threads == 1
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in said


def test_what_is_said_counts(measured):
    threads, said = measured("--overwrite", OMP_NUM_THREADS="2", OMP_WAIT_POLICY="active")
    assert threads == 2
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in said
    threads, _ = measured("--overwrite", "--threads", "3", OMP_NUM_THREADS="2")
    assert threads == 3
