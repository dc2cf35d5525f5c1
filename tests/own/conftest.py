"""A folder with files of a user's own, in which a test runs."""

import copy
import sys

import pytest

from flatness.glossary import own
from flatness.glossary.quantities import QUANTITIES
from flatness.settings import load_settings
from tests.workflow.small_workflow import SMALL


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in own._own:
        QUANTITIES.pop(name, None)
    own._own.clear()


@pytest.fixture
def small():
    """A function: the settings of a small study with some parts of it replaced."""

    def changed(network=None, dataset=None, **keys):
        config = copy.deepcopy(SMALL) | keys
        if network is not None:
            config["studies"]["mlp"]["network"] = network
        if dataset is not None:
            config["datasets"]["digits"] = dataset
        return load_settings(config, "my.yaml")

    return changed
