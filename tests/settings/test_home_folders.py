"""A leading ~ is somebody's home in every folder of the configuration, and nothing else is."""

import os

import pytest

from flatness.settings import load_settings
from tests.workflow.small_workflow import SMALL


@pytest.fixture(autouse=True)
def _home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")


def _settings(folder):
    datasets = {
        "digits": {"source": "digits", "outputs": 10},
        "own": {"source": "image_folder", "path": folder, "outputs": 2},
        "cifar10": {
            "source": "torchvision",
            "dataset": "CIFAR10",
            "image_folder": folder,
            "outputs": 10,
        },
    }
    changed = {"folders": {"results": folder, "data": folder}, "datasets": datasets}
    return load_settings(SMALL | changed, "my.yaml")


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("~", "/home/somebody"),
        ("~/data", "/home/somebody/data"),
        (f"~{os.environ.get('USER') or 'root'}/x", None),
        ("data~", "data~"),
        ("a/~/b", "a/~/b"),
        ("/~", "/~"),
        ("~nobody-of-this-name/x", "~nobody-of-this-name/x"),
    ],
)
def test_every_folder(folder, expected):
    expected = expected or os.path.expanduser(folder)
    settings = _settings(folder)
    found = [
        settings.folders.results,
        settings.folders.data,
        settings.datasets["own"].path,
        settings.datasets["cifar10"].image_folder,
    ]
    assert found == [expected] * 4
