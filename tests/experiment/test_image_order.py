"""A prepared dataset does not depend on how its source lists the images."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flatness.experiment import datasets
from flatness.experiment.datasets import Images
from flatness.experiment.prepared import assemble
from tests.experiment.published_archive import publish_cifar10, write_class_folders
from tests.experiment.short_run import DIGITS

NOWHERE = Path("nowhere")
CIFAR10 = DIGITS | {"source": "torchvision", "dataset": "CIFAR10", "samples": 2}


def _checksum(dataset, images: Images) -> str:
    return assemble(dataset, images).attrs["checksum"]


def _listed_otherwise(images: Images, seed: int) -> Images:
    """The same images in another order, in another layout of memory."""
    draw, changes = np.random.default_rng(seed), {}
    for split in ("train", "test"):
        order = draw.permutation(len(getattr(images, f"{split}_labels")))
        pixels = getattr(images, f"{split}_images")[order]
        changes[f"{split}_images"] = np.asfortranarray(pixels)
        changes[f"{split}_labels"] = getattr(images, f"{split}_labels")[order]
    return replace(images, **changes)


@pytest.fixture(scope="module")
def images() -> Images:
    """Made-up images of three classes; some occur twice, some with another label as well."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (40, 3, 5, 4), dtype=np.uint8)
    pixels[10:20], pixels[30:35] = pixels[:10], pixels[:5]
    labels = draw.integers(0, 3, 40)
    labels[10:20] = labels[:10]
    labels[30:35] = (labels[:5] + 1) % 3
    return Images(("a", "b", "c"), 255, pixels, labels, pixels[::-1][:25], labels[::-1][:25])


@pytest.mark.parametrize("normalisation", ["none", "standardise"])
@pytest.mark.parametrize("classes", ["all", (0, 2)])
def test_other_orders_give_the_same_dataset(images, normalisation, classes):
    dataset = DIGITS | {"classes": classes, "outputs": 3, "samples": 5}
    dataset |= {"normalisation": normalisation}
    expected = assemble(dataset, images)
    for seed in range(20):
        assert assemble(dataset, _listed_otherwise(images, seed)).identical(expected)


def test_the_order_is_by_label_then_by_digest_of_the_pixels(images):
    prepared = assemble(DIGITS | {"samples": 5}, _listed_otherwise(images, 0))
    for split in ("train", "test"):
        _assert_in_order(
            *(prepared[f"{split}_{part}"].to_numpy() for part in ("images", "labels")),
            *(getattr(images, f"{split}_{part}") for part in ("images", "labels")),
        )


def test_one_pixel_or_label_makes_another_dataset(images):
    dataset = DIGITS | {"samples": 5}
    found = {_checksum(dataset, images)}
    for split in ("train", "test"):
        pixels = getattr(images, f"{split}_images").copy()
        pixels[7, 1, 2, 3] ^= 1
        found.add(_checksum(dataset, replace(images, **{f"{split}_images": pixels})))
        labels = getattr(images, f"{split}_labels").copy()
        labels[7] = (labels[7] + 1) % 3
        found.add(_checksum(dataset, replace(images, **{f"{split}_labels": labels})))
    assert len(found) == 5


@pytest.mark.parametrize("classes", ["all", (0, 1)])
def test_an_archive_and_its_images_in_files_are_one_dataset(tmp_path, monkeypatch, classes):
    publish_cifar10(tmp_path, monkeypatch)
    archive = datasets.load(CIFAR10, tmp_path, False)
    write_class_folders(archive, tmp_path / "files")
    folders = DIGITS | {"source": "image_folder", "path": str(tmp_path / "files")}
    files = datasets.load(folders, NOWHERE, False)
    assert not np.array_equal(files.train_images, archive.train_images)
    choice = {"classes": classes, "samples": 2}
    first, second = assemble(CIFAR10 | choice, archive), assemble(folders | choice, files)
    assert first.identical(second)


def test_real_cifar10_files_are_prepared_in_this_order():
    root = Path(os.environ.get("FLATNESS_DATA", "data"), "CIFAR10-airplane-automobile")
    if not root.is_dir():
        pytest.skip(f"{root} does not exist; FLATNESS_DATA may name another data root")
    dataset = DIGITS | {"source": "image_folder", "path": str(root)}
    images = datasets.load(dataset, NOWHERE, False)
    prepared = assemble(dataset, images)
    for split, count in (("train", 10_000), ("test", 2_000)):
        labels = prepared[f"{split}_labels"].to_numpy()
        assert len(labels) == count
        _assert_in_order(
            prepared[f"{split}_images"].to_numpy(),
            labels,
            *(getattr(images, f"{split}_{part}") for part in ("images", "labels")),
        )


def _assert_in_order(pixels, labels, source_pixels, source_labels) -> None:
    """The prepared images are those of the source, sorted by numpy."""
    digests = np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in source_pixels])
    order = np.lexsort((digests, source_labels))
    assert np.array_equal(pixels, source_pixels[order])
    assert np.array_equal(labels, source_labels[order])
