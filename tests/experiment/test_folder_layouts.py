"""Class folders as they lie on people's disks: found whole, or refused by name."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flatness.errors import DatasetError
from flatness.experiment import datasets
from flatness.experiment.datasets.known import KNOWN
from tests.experiment.short_run import DIGITS

NOWHERE = Path("nowhere")
CLASSES = ("ant", "bee", "cat")


@pytest.fixture
def folder(tmp_path):
    """Two training images and one test image of each of three classes."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 2), ("test", 1)):
        for name in CLASSES:
            (tmp_path / "plain" / split / name).mkdir(parents=True)
            for k in range(count):
                pixels = draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "plain" / split / name / f"{k}.png")
    return tmp_path / "plain"


@pytest.fixture(params=["image_folder", "torchvision"])
def dataset(request, folder, monkeypatch):
    """An entry of the configuration that reads the folder, as a source or as a known dataset."""
    if request.param == "image_folder":
        return DIGITS | {"source": "image_folder", "path": str(folder)}
    known = replace(KNOWN["CIFAR10"], class_names=CLASSES, train_per_class=2, test_per_class=1)
    monkeypatch.setitem(KNOWN, "CIFAR10", known)
    return DIGITS | {
        "source": "torchvision",
        "dataset": "CIFAR10",
        "image_folder": str(folder),
        "classes": "all",
    }


def _loaded(dataset):
    datasets.check_at_hand(dataset, NOWHERE, False)
    return datasets.load(dataset, NOWHERE, False)


def _link_classes(folder):
    elsewhere = folder.with_name("elsewhere")
    for split in ("train", "test"):
        for name in ("ant", "cat"):
            elsewhere.joinpath(split).mkdir(parents=True, exist_ok=True)
            (folder / split / name).rename(elsewhere / split / name)
            (folder / split / name).symlink_to(elsewhere / split / name, target_is_directory=True)


def _link_images(folder):
    elsewhere = folder.with_name("elsewhere")
    elsewhere.mkdir()
    for k, file in enumerate(sorted(folder.glob("*/*/*.png"))):
        file.rename(elsewhere / f"{k}.png")
        file.symlink_to(elsewhere / f"{k}.png")


def _hide_files(folder):
    for of_class in folder.glob("*/*"):
        (of_class / "._0.png").write_bytes(b"\0\5\x16\7")
        (of_class / ".0.png").write_bytes(b"")
        (of_class / ".DS_Store").write_bytes(b"")
        (of_class / ".thumbnails").mkdir()
        (of_class / ".thumbnails/0.png").write_bytes(b"")
    for split in folder.iterdir():
        (split / "._ant").write_bytes(b"")


def _notes(folder):
    for of_class in folder.glob("*/*"):
        (of_class / "notes.txt").write_text("")
        (of_class / "notes").mkdir()


@pytest.mark.parametrize("change", [_link_classes, _link_images, _hide_files, _notes])
def test_the_images_are_the_same(folder, dataset, change):
    before = _loaded(dataset)
    change(folder)
    after = _loaded(dataset)
    assert before.train_images.shape == (6, 3, 32, 32)
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


def _empty(folder):
    for split in ("train", "test"):
        for file in (folder / split / "bee").iterdir():
            file.unlink()


def _deeper(folder):
    for split in ("train", "test"):
        (folder / split / "bee/images").mkdir()
        for file in list((folder / split / "bee").glob("*.png")):
            file.rename(folder / split / "bee/images" / file.name)


def _some_deeper(folder):
    shutil.copytree(folder / "train/bee", folder / "train/bee/more")


def _dangling(folder):
    shutil.rmtree(folder / "train/bee")
    (folder / "train/bee").symlink_to("absent", target_is_directory=True)


REFUSED = {
    "empty": (_empty, r"train/bee: holds (no image|0 images)\. Allowed: "),
    "one folder too deep": (
        _deeper,
        r"train/bee/images/0\.png: lies one folder too deep\. Allowed: images in the class folder "
        r"itself, as \S+train/bee/0\.png\. Move the images up",
    ),
    "some of them": (_some_deeper, r"train/bee/more/0\.png: lies one folder too deep\. Allowed"),
    "a link to nothing": (_dangling, r"train/bee: is a link to nothing\. Allowed: class folders,"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_anything_is_decoded(folder, dataset, monkeypatch, case):
    change, message = REFUSED[case]
    change(folder)
    monkeypatch.setattr(Image, "open", None)
    with pytest.raises(DatasetError) as caught:
        _loaded(dataset)
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)


def test_several_empty_folders(folder):
    for name in ("dog", "elk"):
        for split in ("train", "test"):
            (folder / split / name).mkdir()
    with pytest.raises(
        DatasetError, match=r"train/dog: holds no image \(and 1 more of the class folders\)\. Allo"
    ):
        datasets.describe(DIGITS | {"source": "image_folder", "path": str(folder)}, NOWHERE)
