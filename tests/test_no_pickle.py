"""A file that runs code when it is unpickled, in every place where a file is read."""

import functools
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
from flatness.publication.opening import read_results
from flatness.storage import read_dataset
from tests.experiment.published_archive import publish_cifar10, write_archive


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
    "results": ("results.nc", read_results),
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
    assert StateFolder(tmp_path / "state", {"run": "one"}).resume((0, 10)) == []
    assert not (tmp_path / "canary").exists()


def test_a_pickle_in_the_place_of_an_image_is_refused(planted, tmp_path):
    for split in ("train", "test"):
        for name in ("one", "two"):
            planted(f"images/{split}/{name}/1.png")
    dataset = {"source": "image_folder", "path": str(tmp_path / "images"), "classes": "all"}
    with pytest.raises(FlatnessError, match=r"1\.png"):
        datasets.load(dataset, tmp_path, False)
    assert not (tmp_path / "canary").exists()


CIFAR10 = {"source": "torchvision", "dataset": "CIFAR10", "classes": "all"}


def test_a_pickle_in_the_place_of_an_archive_is_refused(planted, tmp_path):
    planted("data/cifar-10-python.tar.gz")
    with pytest.raises(FlatnessError, match="damaged, its MD5 checksum"):
        datasets.load(CIFAR10, tmp_path / "data", False)
    assert not (tmp_path / "canary").exists()


def test_an_archive_that_is_not_the_published_one_is_not_unpacked(tmp_path):
    bad = pickle.dumps(Malicious(tmp_path / "canary"))
    (tmp_path / "data").mkdir()
    write_archive(
        tmp_path / "data/cifar-10-python.tar.gz",
        {"../escaped": b"", "cifar-10-batches-py/data_batch_1": bad},
    )
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FlatnessError, match="damaged, its MD5 checksum"):
        datasets.load(CIFAR10, tmp_path / "data", False)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A function: make an archive the one that torchvision knows, with its sound members.

    Members of other names or contents may be added.
    """
    return functools.partial(publish_cifar10, tmp_path / "data", monkeypatch)


def test_an_unpacked_folder_beside_the_archive_is_not_read(published, planted, tmp_path):
    published({})
    for name in ("data_batch_1", "test_batch", "batches.meta"):
        planted(f"data/cifar-10-batches-py/{name}")
    images = datasets.load(CIFAR10, tmp_path / "data", False)
    assert images.train_images.shape == (50, 3, 32, 32)
    assert images.class_names[0] == "airplane"
    assert not (tmp_path / "canary").exists()


def test_a_member_with_another_checksum_is_not_unpickled(published, tmp_path):
    bad = pickle.dumps(Malicious(tmp_path / "canary"))
    published({"cifar-10-batches-py/data_batch_3": bad})
    with pytest.raises(FlatnessError, match=r"cannot be unpacked and read .*Delete it"):
        datasets.load(CIFAR10, tmp_path / "data", False)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", ["../escaped", "cifar-10-batches-py/../../escaped"])
def test_a_member_that_leaves_the_folder_is_refused(published, tmp_path, monkeypatch, name):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    published({name: b"x"})
    with pytest.raises(FlatnessError, match=r"cannot be unpacked and read .*Delete it"):
        datasets.load(CIFAR10, tmp_path / "data", False)
    assert not list(tmp_path.rglob("escaped"))


def test_a_member_with_an_absolute_name_leaves_nothing_there(published, tmp_path):
    published({f"{tmp_path}/escaped": b"x"})
    datasets.load(CIFAR10, tmp_path / "data", False)
    assert not (tmp_path / "escaped").exists()


def test_the_canary_works(planted, tmp_path):
    path = planted("file")
    try:
        pickle.loads(path.read_bytes())
    except pickle.UnpicklingError:
        torch.load(path, weights_only=False)
    assert (tmp_path / "canary").exists()
