"""Whole runs of Snakemake, each in a folder of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflow.small_workflow import Workflow, copy_source


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    """A copy of the repository, so that a test may edit it."""
    copied = tmp_path_factory.mktemp("source")
    copy_source(copied)
    return copied


@pytest.fixture(scope="session")
def make_workflow(source) -> Callable[[Path], Workflow]:
    """The workflow in a folder of the test's choice."""
    return lambda folder: Workflow(source, folder)


@pytest.fixture
def workflow(source, tmp_path) -> Workflow:
    return Workflow(source, tmp_path)


@pytest.fixture
def another_workflow(source, tmp_path_factory) -> Workflow:
    return Workflow(source, tmp_path_factory.mktemp("another"))


@pytest.fixture(scope="session")
def finished(source, tmp_path_factory) -> Path:
    """The folder of a finished small study; copy it before changing anything."""
    done = Workflow(source, tmp_path_factory.mktemp("finished"))
    done.succeed("--cores", "2")
    return done.folder
