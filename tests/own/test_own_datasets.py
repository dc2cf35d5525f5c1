"""Datasets that a configuration names by a place."""

import numpy as np
import pytest

from flatness.errors import SettingsError
from flatness.experiment.prepared import load_prepared, prepare
from flatness.jobs import preflight

FILE = """\
import numpy as np
from flatness.experiment.datasets import Images

def images(shade=200, **changed):
    labels = np.arange(30) % 2
    pixels = (np.arange(30)[:, None, None, None] + np.arange(64).reshape(1, 8, 8)) % shade
    given = {
        "class_names": ("even", "odd"),
        "pixel_max": 255,
        "train_images": pixels.astype(np.uint8), "train_labels": labels,
        "test_images": pixels[:20].astype(np.uint8), "test_labels": labels[:20],
    }
    return Images(**given | changed)

def flat(): return images(train_images=np.zeros((30, 64), np.uint8))
def floats(): return images(test_images=np.zeros((20, 1, 8, 8)))
def unequal(): return images(train_labels=np.arange(29) % 2)
def unknown(): return images(test_labels=np.full(20, 2))
def bright(): return images(pixel_max=1000)
def nothing(): return None
def wider(): return images(test_images=np.zeros((20, 1, 8, 9), np.uint8))
"""


@pytest.fixture
def file(folder):
    (folder / "my.py").write_text(FILE)


def _entry(name, **keys):
    return {"factory": f"my.py:{name}", "outputs": 2, "samples": 5} | keys


@pytest.mark.usefixtures("file")
def test_images_are_prepared(small, folder):
    settings = small(dataset=_entry("images", arguments={"shade": 100}))
    preflight.check_datasets(settings, "my.yaml")
    preflight.check_source("digits", settings, "my.yaml")
    dataset = settings.datasets["digits"]
    prepare(dataset.model_dump(), folder, False, folder / "prepared.nc", {})
    prepared = load_prepared(folder / "prepared.nc")
    assert prepared.train_inputs.shape == (30, 1, 8, 8)
    assert np.isclose(prepared.train_inputs.max(), 92 / 255)
    assert sorted(prepared.train_targets) == [0] * 15 + [1] * 15


@pytest.mark.usefixtures("file")
def test_what_it_holds_is_compared_with_the_configuration(small):
    with pytest.raises(SettingsError, match=r"samples = 50 is more than .* Allowed: 1 to 20\."):
        preflight.check_datasets(small(dataset=_entry("images", samples=50)), "my.yaml")


REFUSED = {
    "flat": r"train_images uint8 of shape \(30, 64\)",
    "floats": r"test_images float64 of shape \(20, 1, 8, 8\)",
    "unequal": "30 train_images and 29 train_labels",
    "unknown": "the label 2 for 2 class names",
    "bright": "pixel_max = 1000, which is no integer from 1 to 255",
    "nothing": "an object of type NoneType",
    "wider": r"train_images of \(1, 8, 8\) and test_images of \(1, 8, 9\)",
}


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused(small, name):
    message = f"my.yaml: datasets.digits: factory = 'my.py:{name}': returned {REFUSED[name]}. Allow"
    with pytest.raises(SettingsError, match=message.replace("my.", r"my\.")):
        preflight.check_source("digits", small(dataset=_entry(name)), "my.yaml")
