"""A leading ~ is somebody's home in every path of the command line, and nothing else is."""

import argparse
import os

import pytest

from flatness.command.options import parser
from flatness.storage import read_dataset


@pytest.fixture
def home(here, monkeypatch):
    """The current folder is the user's home."""
    monkeypatch.setenv("HOME", str(here))
    return here


def test_all_paths_of_a_measurement(home, photos, measured, monkeypatch):
    monkeypatch.chdir("/")
    measured(factory="~/factories.py:dense", images="~/photos", output="~/out/found.nc")
    assert read_dataset(home / "out/found.nc").attrs["factory"] == f"{home}/factories.py:dense"


def test_weights(home, refused):
    assert refused(weights="~/absent.pt").startswith(f"--weights {home}/absent.pt: cannot be read")


@pytest.mark.parametrize("name", ["photos~", "a/~/b", "~nobody-of-this-name/x", "x=~"])
def test_other_names_stay_as_they_are(home, refused, name):
    assert refused(images=name).startswith(f"--images {name}: no such folder.")


def _paths(subparser):
    """What a command calls its paths, by what stands for them in its help."""
    words = ("FOLDER", "FILE", "FILE.nc", "PART.nc", "RESULTS", "PUBLICATION", "FACTORY")
    return {action.dest for action in subparser._actions if action.metavar in words}


def test_every_path_of_every_command():
    commands = next(
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    ).choices
    found = {
        f"{name} {action.dest}": action.type
        for name, subparser in commands.items()
        for action in subparser._actions
        if action.dest in _paths(subparser)
    }
    assert len(found) == 18
    assert set(found.values()) == {os.path.expanduser}
