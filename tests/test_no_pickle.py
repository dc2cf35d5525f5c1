"""A file that runs code when it is unpickled, in every place where a file is read."""

import os
import pickle
import re
from pathlib import Path

import pytest
import torch

from flatness.errors import FlatnessError
from flatness.experiment import datasets, thinning
from flatness.experiment.checkpoints import StateFolder, read_run
from flatness.experiment.prepared import load_prepared
from flatness.storage import read_dataset


class Malicious:
    """Unpickled by an unguarded reader, it makes a file."""

    def __init__(self, canary: Path):
        self.canary = str(canary)

    def __reduce__(self):
        return os.system, (f"touch '{self.canary}'",)


@pytest.fixture(params=["pickle", "torch.save"])
def planted(request, tmp_path):
    """A function that puts the malicious file in the place of another."""

    def plant(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if request.param == "pickle":
            path.write_bytes(pickle.dumps(Malicious(tmp_path / "canary")))
        else:
            torch.save(Malicious(tmp_path / "canary"), path)
        return path

    return plant


READERS = {
    "checkpoints of a run": ("run/checkpoints.safetensors", read_run),
    "run to be thinned": ("run/checkpoints.safetensors", lambda p: thinning.thin(p.parent, "last")),
    "prepared dataset": ("digits.nc", load_prepared),
    "measurements": ("run.nc", read_dataset),
}


@pytest.mark.parametrize("what", READERS)
def test_a_pickle_is_refused_unread(what, planted, tmp_path):
    name, read = READERS[what]
    path = planted(name)
    with pytest.raises(FlatnessError, match=re.escape(path.name)):
        read(path)
    assert not (tmp_path / "canary").exists()


def test_a_pickle_among_the_checkpoints_of_an_unfinished_run_is_passed_over(planted, tmp_path):
    planted("state/0000000000.safetensors")
    assert StateFolder(tmp_path / "state", "identity").resume((0, 10)) == []
    assert not (tmp_path / "canary").exists()


def test_a_pickle_in_the_place_of_an_image_is_refused(planted, tmp_path):
    for split in ("train", "test"):
        for name in ("one", "two"):
            planted(f"images/{split}/{name}/1.png")
    dataset = {"source": "image_folder", "path": str(tmp_path / "images"), "classes": "all"}
    with pytest.raises(FlatnessError, match=r"1\.png"):
        datasets.load(dataset, tmp_path, False)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("archive", ["cifar-10-python.tar.gz"])
def test_a_pickle_in_the_place_of_an_archive_is_refused(archive, planted, tmp_path):
    planted(f"data/{archive}")
    dataset = {"source": "torchvision", "dataset": "CIFAR10", "classes": "all"}
    with pytest.raises(FlatnessError, match="damaged, its MD5 checksum"):
        datasets.load(dataset, tmp_path / "data", False)
    assert not (tmp_path / "canary").exists()


def test_the_canary_works(planted, tmp_path):
    path = planted("file")
    try:
        pickle.loads(path.read_bytes())
    except pickle.UnpicklingError:
        torch.load(path, weights_only=False)
    assert (tmp_path / "canary").exists()
