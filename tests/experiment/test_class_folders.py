"""The images of a torchvision dataset from class folders, in the place of its archives."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flatness.errors import DatasetError, SettingsError
from flatness.experiment import datasets
from flatness.experiment.datasets import class_folders
from flatness.experiment.datasets.known import KNOWN
from flatness.experiment.prepared import assemble, load_prepared, prepare
from flatness.jobs import preflight
from flatness.settings import load_settings
from tests.experiment.published_archive import (
    TEST_PER_CLASS,
    TRAIN_PER_CLASS,
    publish_cifar10,
    write_class_folders,
)
from tests.experiment.short_run import DIGITS
from tests.workflow.small_workflow import SMALL

NOWHERE = Path("nowhere")
# Of what results were computed from: another way of decoding must not change it.
AIRPLANES_AND_AUTOMOBILES = "6be883801a3019e735897573129066a9f13113963e33b5132073a94bf480bbf6"
CIFAR10 = DIGITS | {"source": "torchvision", "dataset": "CIFAR10", "samples": 2}


@pytest.fixture
def known(monkeypatch):
    """A function: let a dataset have few images, as many of each class as are given."""

    def know(name: str, train: int, test: int) -> None:
        few = replace(KNOWN[name], train_per_class=train, test_per_class=test)
        monkeypatch.setitem(KNOWN, name, few)

    return know


@pytest.fixture
def folder(tmp_path, monkeypatch, known) -> Path:
    """The images of a small archive in class folders; the archive lies in tmp_path/data."""
    publish_cifar10(tmp_path / "data", monkeypatch)
    known("CIFAR10", TRAIN_PER_CLASS, TEST_PER_CLASS)
    write_class_folders(datasets.load(CIFAR10, tmp_path / "data", False), tmp_path / "files")
    return tmp_path / "files"


def _in(folder: Path) -> dict:
    return CIFAR10 | {"image_folder": str(folder)}


@pytest.mark.parametrize("normalisation", ["none", "standardise"])
@pytest.mark.parametrize("classes", ["all", (0, 1), (7, 3)])
def test_the_prepared_dataset_is_that_of_the_archive(folder, tmp_path, classes, normalisation):
    choice = {"classes": classes, "normalisation": normalisation}
    for name, dataset, data in (("a", CIFAR10, tmp_path / "data"), ("b", _in(folder), NOWHERE)):
        prepare(dataset | choice, data, False, tmp_path / name, {})
    assert load_prepared(tmp_path / "a").checksum == load_prepared(tmp_path / "b").checksum
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_classes_that_are_not_selected_may_be_absent(folder, tmp_path):
    chosen = {"classes": (1, 7)}
    expected = assemble(CIFAR10 | chosen, datasets.load(CIFAR10, tmp_path / "data", False))
    for split in ("train", "test"):
        for name in set(KNOWN["CIFAR10"].class_names) - {"automobile", "horse"}:
            shutil.rmtree(folder / split / name)
    dataset = _in(folder) | chosen
    assert assemble(dataset, datasets.load(dataset, NOWHERE, False)).identical(expected)


def test_no_archive_is_needed_or_asked_for(folder):
    assert datasets.describe(_in(folder), NOWHERE).absent == ()
    datasets.check_at_hand(_in(folder), NOWHERE, True)


def test_a_slash_in_a_class_name_is_an_underscore_in_its_folder(tmp_path, known):
    known("FashionMNIST", 2, 1)
    draw, labels = np.random.default_rng(0), np.arange(10)
    images = datasets.Images(
        KNOWN["FashionMNIST"].class_names,
        255,
        draw.integers(0, 256, (20, 1, 28, 28), dtype=np.uint8),
        np.tile(labels, 2),
        draw.integers(0, 256, (10, 1, 28, 28), dtype=np.uint8),
        labels,
    )
    write_class_folders(images, tmp_path)
    assert (tmp_path / "train/T-shirt_top").is_dir()
    dataset = CIFAR10 | {"dataset": "FashionMNIST", "image_folder": str(tmp_path)}
    found = assemble(dataset, datasets.load(dataset, NOWHERE, False))
    assert found.identical(assemble(dataset, images))
    assert found["class_name"][0] == "T-shirt/top"


def _rename(folder: Path) -> None:
    (folder / "train/bird").rename(folder / "train/birds")


def _lose_split(folder: Path) -> None:
    shutil.rmtree(folder / "test")


def _lose_classes(folder: Path) -> None:
    shutil.rmtree(folder / "test")
    (folder / "test").mkdir()


def _lose_class(folder: Path) -> None:
    shutil.rmtree(folder / "test/cat")


def _lose_image(folder: Path) -> None:
    next((folder / "train/dog").iterdir()).unlink()


def _add_image(folder: Path) -> None:
    shutil.copy(next((folder / "test/dog").iterdir()), folder / "test/dog/again.png")


def _compress(folder: Path) -> None:
    file = next((folder / "train/dog").iterdir())
    Image.open(file).save(folder / "train/dog/0.jpg")
    file.unlink()


MISTAKES = {
    "unknown class": (
        _rename,
        r"files/train/birds: is no class of CIFAR10\. Allowed: airplane, .*truck\. Rename",
    ),
    "no test images": (
        _lose_split,
        r"files/test: no such folder\. Allowed: .*Correct the dataset's `image_folder`\.",
    ),
    "no classes": (_lose_classes, r"files/test: holds no class folder\. Allowed: .*image_folder"),
    "class that is absent": (
        _lose_class,
        r"files/test/cat: no such folder\. Allowed: a folder for each .*Add it, or change",
    ),
    "too few images": (
        _lose_image,
        r"files/train/dog: holds 4 images\. Allowed: 5, as each class of CIFAR10 has in train\. Co",
    ),
    "too many images": (_add_image, r"files/test/dog: holds 2 images\. Allowed: 1, as each"),
    "lossy images": (
        _compress,
        r"files/train/dog/0\.jpg: may have lost .*Allowed: \.png, \.bmp, \.ppm\. Replace",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_what_names_and_counts_tell_is_refused_before_anything_is_decoded(
    folder, monkeypatch, case
):
    change, message = MISTAKES[case]
    change(folder)
    monkeypatch.setattr(Image, "open", None)
    entry = {"source": "torchvision", "dataset": "CIFAR10", "outputs": 10, "samples": 5}
    configuration = SMALL | {"datasets": {"digits": entry | {"image_folder": str(folder)}}}
    settings = load_settings(configuration, "my.yaml")
    with pytest.raises(SettingsError, match=rf"^my\.yaml: datasets\.digits: .*{message}") as caught:
        preflight.check_source("digits", settings, "my.yaml")
    assert "\n" not in str(caught.value)
    with pytest.raises(DatasetError, match=message):
        datasets.load(_in(folder), NOWHERE, True)


@pytest.mark.parametrize("size", [(31, 32), (32, 64)])
def test_an_image_of_another_size_is_named(folder, size):
    file = max((folder / "test/truck").iterdir())
    Image.new("RGB", size).save(file)
    with pytest.raises(
        DatasetError,
        match=rf"truck/\S+: has {size[0]}x{size[1]} pixels\. Allowed: 32x32, as every image of CIF",
    ):
        datasets.load(_in(folder), NOWHERE, False)


def test_a_damaged_image_is_named(folder):
    file = max((folder / "test/truck").iterdir())
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(DatasetError, match=r"truck/\S+: is damaged or no image"):
        datasets.load(_in(folder), NOWHERE, False)


def test_the_configuration_is_compared_with_the_dataset_whatever_the_folder_holds(tmp_path):
    """Once a dataset is prepared, the folder may go; classes and batch sizes are still checked."""
    entry = {"source": "torchvision", "dataset": "CIFAR10", "image_folder": str(tmp_path / "gone")}
    entry |= {"classes": [0, 10], "outputs": 11}
    settings = load_settings(SMALL | {"datasets": {"digits": entry}}, "my.yaml")
    with pytest.raises(SettingsError, match=r"datasets\.digits\.classes = 10 is no class label"):
        preflight.check_datasets(settings, "my.yaml")


def test_real_cifar10_files_stand_for_the_archive():
    root = Path(os.environ.get("FLATNESS_DATA", "data"), "CIFAR10-airplane-automobile")
    if not root.is_dir():
        pytest.skip(f"{root} does not exist; FLATNESS_DATA may name another data root")
    dataset = _in(root) | {"classes": (0, 1), "samples": 100}
    class_folders.check(dataset)
    prepared = assemble(dataset, datasets.load(dataset, NOWHERE, False))
    assert list(prepared["class_name"].to_numpy()) == ["airplane", "automobile"]
    assert prepared["train_images"].shape == (10_000, 3, 32, 32)
    assert prepared["test_images"].shape == (2_000, 3, 32, 32)
    folders = {"source": "image_folder", "path": str(root), "classes": "all"}
    alike = assemble(dataset | folders, datasets.load(folders, NOWHERE, False))
    assert prepared.attrs["checksum"] == alike.attrs["checksum"] == AIRPLANES_AND_AUTOMOBILES
