"""Sources of images and the prepared dataset."""

import functools
import gzip
import os
import shutil
import struct
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flatness.errors import DatasetError, StorageError
from flatness.experiment import datasets
from flatness.experiment.datasets import from_torchvision
from flatness.experiment.prepared import assemble, load_prepared, prepare
from flatness.storage import read_dataset
from tests.experiment.short_run import DIGITS

NOWHERE = Path("nowhere")


def _folder(root: Path, mode: str = "RGB", size=(6, 5)) -> dict:
    """An image folder with two classes; pixels count up so that every image differs."""
    channels = len(mode) if mode == "RGB" else 1
    count = 0
    for split, images in (("train", 4), ("test", 3)):
        for name in ("cat", "ant"):
            (root / split / name).mkdir(parents=True)
            for k in range(images):
                shape = (size[1], size[0], channels) if channels > 1 else (size[1], size[0])
                pixels = np.full(shape, count, np.uint8)
                pixels.flat[0] = 255
                Image.fromarray(pixels, mode).save(root / split / name / f"{k}.png")
                count += 1
    return DIGITS | {"source": "image_folder", "path": str(root), "outputs": 2, "samples": 2}


def _fashion_archives(root: Path, monkeypatch) -> dict:
    """Tiny archives in FashionMNIST's format, with the checksums that torchvision will expect."""
    import hashlib

    from torchvision import datasets as theirs

    raw = root / "FashionMNIST/raw"
    raw.mkdir(parents=True)
    draw, resources = np.random.default_rng(0), []
    for split, count in (("train", 30), ("t10k", 20)):
        pixels = draw.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for kind, header, values in (
            ("images-idx3", struct.pack(">IIII", 2051, count, 28, 28), pixels),
            ("labels-idx1", struct.pack(">II", 2049, count), labels),
        ):
            file = raw / f"{split}-{kind}-ubyte.gz"
            file.write_bytes(gzip.compress(header + values.tobytes()))
            resources.append((file.name, hashlib.md5(file.read_bytes()).hexdigest()))
    monkeypatch.setattr(theirs.FashionMNIST, "resources", resources)
    return DIGITS | {"source": "torchvision", "dataset": "FashionMNIST", "samples": 10}


def test_input_shapes_are_known_before_anything_is_loaded(tmp_path):
    assert (
        datasets.input_shape(DIGITS) == datasets.load(DIGITS, NOWHERE, False).train_images.shape[1:]
    )
    for mode, channels in (("RGB", 3), ("L", 1)):
        folder = _folder(tmp_path / mode, mode, size=(6, 5))
        assert datasets.input_shape(folder) == (channels, 5, 6)
        assert datasets.load(folder, NOWHERE, False).train_images.shape[1:] == (channels, 5, 6)
    for name, shape in (("CIFAR10", (3, 32, 32)), ("FashionMNIST", (1, 28, 28))):
        assert datasets.input_shape(DIGITS | {"source": "torchvision", "dataset": name}) == shape


def test_digits_are_what_the_description_says():
    described = datasets.describe(DIGITS, NOWHERE)
    images = datasets.load(DIGITS, NOWHERE, False)
    assert images.train_images.shape == (1437, 1, 8, 8)
    assert images.test_images.shape == (360, 1, 8, 8)
    assert tuple(np.bincount(images.train_labels)) == described.train_counts
    assert tuple(np.bincount(images.test_labels)) == described.test_counts
    assert images.train_images.max() == images.pixel_max


def test_prepared_dataset_holds_what_training_and_measuring_need(digits):
    prepared = load_prepared(digits)
    images, stored = datasets.load(DIGITS, NOWHERE, False), read_dataset(digits)
    pixels = stored["train_images"].to_numpy()
    assert np.array_equal(prepared.train_inputs, (pixels / 16).astype(np.float32))
    assert prepared.train_inputs.dtype == np.float32
    assert sorted(map(bytes, pixels)) == sorted(map(bytes, images.train_images))
    assert np.array_equal(prepared.test_targets, np.sort(images.test_labels))
    assert len(set(prepared.train_samples)) == len(set(prepared.test_samples)) == 30
    assert sorted(prepared.test_order) == list(range(360))
    assert np.array_equal(prepared.test_order[:30], prepared.test_samples)
    assert list(stored["class_name"].values) == list("0123456789")


def test_preparing_twice_gives_equal_files(digits, tmp_path):
    prepare(DIGITS, NOWHERE, False, tmp_path / "again.nc", {})
    assert (tmp_path / "again.nc").read_bytes() == digits.read_bytes()


def test_the_sample_seed_draws_other_samples_of_the_same_images(digits):
    images = datasets.load(DIGITS, NOWHERE, False)
    other = assemble(DIGITS | {"sample_seed": 1}, images)
    first = read_dataset(digits)
    assert not np.array_equal(other["train_samples"], first["train_samples"])
    assert np.array_equal(other["train_images"], first["train_images"])
    assert other.attrs["checksum"] != first.attrs["checksum"]


@pytest.mark.parametrize(
    ("classes", "outputs", "expected"),
    [((3, 8), 10, {3: 3, 8: 8}), ((8, 3), 2, {3: 0, 8: 1}), ((3, 8), 9, {3: 3, 8: 8})],
)
def test_classes_are_selected_by_label(tmp_path, classes, outputs, expected):
    prepare(
        DIGITS | {"classes": classes, "outputs": outputs}, NOWHERE, False, tmp_path / "two.nc", {}
    )
    prepared, stored = load_prepared(tmp_path / "two.nc"), read_dataset(tmp_path / "two.nc")
    assert set(stored["train_labels"].values) == {3, 8}
    assert [expected[label] for label in stored["train_labels"].values] == list(
        prepared.train_targets
    )
    assert list(stored["class_name"].values) == ["3", "8"]
    assert len(prepared.train_targets) == 146 + 141


def test_outputs_that_stand_for_no_label_are_refused():
    with pytest.raises(ValueError, match="2, or at least 9"):
        datasets.outputs_of_labels((3, 8), 5)


def test_standardised_inputs_have_mean_zero_and_variance_one(tmp_path):
    prepare(DIGITS | {"normalisation": "standardise"}, NOWHERE, False, tmp_path / "standard.nc", {})
    inputs = load_prepared(tmp_path / "standard.nc").train_inputs.astype(np.float64)
    assert abs(inputs.mean()) < 1e-5
    assert abs(inputs.std() - 1) < 1e-5


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_image_folder(tmp_path, mode, channels):
    dataset = _folder(tmp_path, mode)
    described = datasets.describe(dataset, NOWHERE)
    images = datasets.load(dataset, NOWHERE, False)
    assert described.class_names == images.class_names == ("ant", "cat")
    assert described.train_counts == (4, 4)
    assert described.test_counts == (3, 3)
    assert images.train_images.shape == (8, channels, 5, 6)
    assert list(images.train_labels) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert list(images.train_images[:, -1, -1, -1]) == [4, 5, 6, 7, 0, 1, 2, 3]


def test_damaged_image_is_named_and_not_used(tmp_path):
    dataset = _folder(tmp_path)
    victim = tmp_path / "test/cat/1.png"
    whole = victim.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"no image"):
        victim.write_bytes(damaged)
        with pytest.raises(DatasetError, match=r"test/cat/1\.png: is damaged or no image.*Replace"):
            datasets.load(dataset, NOWHERE, False)


def test_image_that_claims_to_be_enormous_is_named(tmp_path):
    dataset = _folder(tmp_path)
    Image.new("RGB", (6, 5)).save(tmp_path / "test/cat/1.bmp")
    content = bytearray((tmp_path / "test/cat/1.bmp").read_bytes())
    content[18:26] = struct.pack("<ii", 30_000, 30_000)
    (tmp_path / "test/cat/1.bmp").write_bytes(content)
    with pytest.raises(
        DatasetError, match=r"cat/1\.bmp: is damaged or no image.*decompression bomb"
    ):
        datasets.load(dataset, NOWHERE, False)


def test_image_of_another_size_is_named(tmp_path):
    dataset = _folder(tmp_path)
    Image.new("RGB", (7, 5)).save(tmp_path / "train/cat/2.png")
    with pytest.raises(DatasetError, match=r"cat/2\.png: has 7x5 pixels\. Allowed: 6x5"):
        datasets.load(dataset, NOWHERE, False)


def test_class_folders_must_agree(tmp_path):
    dataset = _folder(tmp_path)
    shutil.copytree(tmp_path / "test/cat", tmp_path / "test/dog")
    with pytest.raises(DatasetError, match="class folder 'dog' is not in both train and test"):
        datasets.describe(dataset, NOWHERE)


def test_folder_without_classes(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(DatasetError, match="holds no class folder"):
        datasets.describe(DIGITS | {"source": "image_folder", "path": str(tmp_path)}, NOWHERE)


def test_torchvision_archives_are_read_from_a_read_only_folder(tmp_path, monkeypatch):
    dataset = _fashion_archives(tmp_path, monkeypatch)
    for folder in (tmp_path / "FashionMNIST/raw", tmp_path / "FashionMNIST", tmp_path):
        folder.chmod(0o555)
    before = sorted(tmp_path.rglob("*"))
    images = datasets.load(dataset, tmp_path, False)
    assert images.train_images.shape == (30, 1, 28, 28)
    assert list(images.test_labels[:12]) == [*range(10), 0, 1]
    assert images.class_names == from_torchvision.KNOWN["FashionMNIST"].class_names
    assert sorted(tmp_path.rglob("*")) == before, "nothing is unpacked beside the archives"


def test_damaged_archive_is_named_and_not_used(tmp_path, monkeypatch):
    dataset = _fashion_archives(tmp_path, monkeypatch)
    victim = tmp_path / "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz"
    damaged = bytearray(victim.read_bytes())
    damaged[-5] ^= 1
    victim.write_bytes(damaged)
    with pytest.raises(
        DatasetError, match=r"t10k-labels-idx1-ubyte\.gz: is damaged, its MD5 checksum is .*Delete"
    ):
        datasets.load(dataset, tmp_path, True)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server on this machine that serves tmp_path/server; its address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=tmp_path / "server")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_download_happens_once_and_into_the_data_folder(tmp_path, monkeypatch, server):
    from torchvision import datasets as theirs

    dataset = _fashion_archives(tmp_path / "server", monkeypatch)
    served = tmp_path / "server/FashionMNIST/raw"
    monkeypatch.setattr(theirs.FashionMNIST, "mirrors", [f"{server}/FashionMNIST/raw/"])
    data = tmp_path / "data"
    assert len(datasets.describe(dataset, data).absent) == 4
    first = datasets.load(dataset, data, True)
    assert sorted(p.name for p in (data / "FashionMNIST/raw").iterdir()) == sorted(
        os.listdir(served)
    )
    for file in served.iterdir():
        file.unlink()
    again = datasets.load(dataset, data, True)
    assert np.array_equal(first.train_images, again.train_images)


def test_failed_download_is_one_clear_error_and_leaves_nothing(tmp_path, monkeypatch, server):
    from torchvision import datasets as theirs

    dataset = _fashion_archives(tmp_path / "server", monkeypatch)
    served = tmp_path / "server/FashionMNIST/raw"
    (served / "train-images-idx3-ubyte.gz").write_bytes(b"<html>try again later</html>")
    monkeypatch.setattr(theirs.FashionMNIST, "mirrors", [f"{server}/FashionMNIST/raw/"])
    with pytest.raises(
        DatasetError, match=r"train-images.*could not be downloaded from .*Try again"
    ):
        datasets.load(dataset, tmp_path / "data", True)
    assert not list((tmp_path / "data").rglob("*.gz"))


def test_absent_archives_without_download(tmp_path):
    dataset = DIGITS | {"source": "torchvision", "dataset": "CIFAR10"}
    assert datasets.describe(dataset, tmp_path).absent == ("cifar-10-python.tar.gz",)
    with pytest.raises(DatasetError, match=r"cifar-10-python\.tar\.gz is absent, and"):
        datasets.load(dataset, tmp_path, False)


def test_images_without_a_largest_value_are_refused(tmp_path):
    dataset = _folder(tmp_path)
    (tmp_path / "train/cat/2.png").unlink()
    Image.fromarray(np.full((5, 6), 0.5, np.float32)).save(tmp_path / "train/cat/2.tif")
    with pytest.raises(
        DatasetError, match=r"cat/2\.tif: .*mode F is not read.*16 bits per channel"
    ):
        datasets.load(dataset, NOWHERE, False)


def test_torchvision_agrees_with_what_is_known_without_it():
    from torchvision import datasets as theirs

    known = from_torchvision.KNOWN["FashionMNIST"]
    assert list(known.class_names) == theirs.FashionMNIST.classes
    expected = {f"FashionMNIST/raw/{file}" for file, _ in theirs.FashionMNIST.resources}
    assert set(known.archives) == expected
    assert from_torchvision.KNOWN["CIFAR10"].archives == (theirs.CIFAR10.filename,)
    assert set(from_torchvision.sources("FashionMNIST")) == expected


@pytest.mark.parametrize("position", [0.3, 0.6, 0.95])
def test_damaged_prepared_dataset_is_named_and_not_used(digits, tmp_path, position):
    damaged = bytearray(digits.read_bytes())
    damaged[int(len(damaged) * position)] ^= 1
    path = tmp_path / "digits.nc"
    path.write_bytes(damaged)
    with pytest.raises(StorageError, match=r"digits\.nc: is (damaged|no readable).*Delete it"):
        load_prepared(path)


def test_truncated_prepared_dataset(digits, tmp_path):
    path = tmp_path / "digits.nc"
    path.write_bytes(digits.read_bytes()[:5000])
    with pytest.raises(StorageError, match=r"digits\.nc: is no readable netCDF file"):
        load_prepared(path)


@pytest.mark.skipif(not os.environ.get("FLATNESS_DATA"), reason="FLATNESS_DATA names no data root")
def test_real_fashion_mnist():
    root = Path(os.environ["FLATNESS_DATA"])
    if not (root / "FashionMNIST/raw").is_dir():
        pytest.skip(f"{root} does not hold FashionMNIST")
    dataset = DIGITS | {"source": "torchvision", "dataset": "FashionMNIST"}
    described = datasets.describe(dataset, root)
    images = datasets.load(dataset, root, False)
    assert tuple(np.bincount(images.train_labels)) == described.train_counts
    assert tuple(np.bincount(images.test_labels)) == described.test_counts
    assert images.train_images.shape == (60000, 1, 28, 28)


@pytest.mark.skipif(not os.environ.get("FLATNESS_DATA"), reason="FLATNESS_DATA names no data root")
def test_real_cifar10_classes():
    root = Path(os.environ["FLATNESS_DATA"], "CIFAR10-airplane-automobile")
    if not root.is_dir():
        pytest.skip(f"{root} does not exist")
    images = datasets.load(DIGITS | {"source": "image_folder", "path": str(root)}, NOWHERE, False)
    assert images.train_images.shape == (10000, 3, 32, 32)
    assert list(np.bincount(images.test_labels)) == [1000, 1000]
    assert images.class_names == ("airplane", "automobile")
