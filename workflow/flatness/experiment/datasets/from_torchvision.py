"""CIFAR10 and FashionMNIST, from archives below the data folder or from class folders.

torchvision reads the archives. Where `image_folder` is set, the same images are read from there.
"""

import os
import socket
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

import numpy as np

from flatness.errors import DatasetError
from flatness.experiment.datasets import Description, Images, class_folders
from flatness.experiment.datasets.known import KNOWN

# A server that says nothing for so long has gone.
_SILENT_SECONDS = 60


def describe(dataset, data_folder) -> Description:
    """Names and counts, and which archives are needed and not below the data folder."""
    known = KNOWN[dataset["dataset"]]
    needed = () if dataset.get("image_folder") else known.archives
    absent = tuple(name for name in needed if not os.path.isfile(Path(data_folder, name)))
    classes = len(known.class_names)
    return Description(
        known.class_names,
        (known.train_per_class,) * classes,
        (known.test_per_class,) * classes,
        absent,
    )


def input_shape(dataset) -> tuple[int, int, int]:
    """Channels, height and width."""
    return KNOWN[dataset["dataset"]].input_shape


def check_folder(dataset) -> None:
    """See whether the class folders hold the images of the dataset."""
    class_folders.check(dataset)


def sources(name: str) -> dict[str, tuple[str, str]]:
    """URL and MD5 checksum of each archive, as torchvision states them."""
    from torchvision import datasets

    if name == "CIFAR10":
        return {KNOWN[name].archives[0]: (datasets.CIFAR10.url, datasets.CIFAR10.tgz_md5)}
    mirror = datasets.FashionMNIST.mirrors[0]
    return {
        f"FashionMNIST/raw/{file}": (f"{mirror}{file}", md5)
        for file, md5 in datasets.FashionMNIST.resources
    }


def load(dataset, data_folder) -> Images:
    """Download what is absent, verify the checksums, then let torchvision read the archives.

    With class folders in their place nothing is downloaded.

    torchvision unpacks beside its archives; it is given links to them in a
    temporary folder, so that the data folder may be read-only, and what somebody
    unpacked there is not read. The batches of CIFAR10 are pickles: torchvision
    compares the checksum of each with the published one before it opens it.
    """
    if dataset.get("image_folder"):
        return class_folders.load(dataset)
    from torchvision import datasets

    name, data_folder = dataset["dataset"], Path(data_folder)
    with tempfile.TemporaryDirectory() as scratch:
        for archive, (url, md5) in sources(name).items():
            path = data_folder / archive
            if not path.is_file():
                _download(url, path, md5)
            _verify(path, md5)
            link = Path(scratch, archive)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())
        reader = getattr(datasets, name)
        try:
            splits = [reader(scratch, train=train, download=True) for train in (True, False)]
        except (OSError, EOFError, RuntimeError, tarfile.TarError) as error:
            raise DatasetError(
                f"{data_folder / KNOWN[name].archives[0]}: cannot be unpacked and read ({error}). "
                f"Allowed: the published archive, and room in {tempfile.gettempdir()}. Delete it "
                "and start again with download: true, or make room."
            ) from error
    (train_images, train_labels), (test_images, test_labels) = (
        (_channels_first(np.asarray(split.data)), np.asarray(split.targets, dtype=np.int64))
        for split in splits
    )
    names = tuple(splits[0].classes)
    return Images(names, 255, train_images, train_labels, test_images, test_labels)


def _channels_first(images: np.ndarray) -> np.ndarray:
    """(images, height, width[, 3]) as (images, channels, height, width)."""
    if images.ndim == 3:
        return images[:, np.newaxis]
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _verify(path: Path, md5: str) -> None:
    from torchvision.datasets.utils import calculate_md5

    found = calculate_md5(str(path))
    if found != md5:
        raise DatasetError(
            f"{path}: is damaged, its MD5 checksum is {found}. Allowed: {md5}. It is not used. "
            "Delete it and start again with download: true, or put a sound copy in its place."
        )


def _download(url: str, path: Path, md5: str) -> None:
    """Fetch one archive into the data folder; it appears there whole and verified, or not."""
    from torchvision.datasets.utils import download_url

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch_folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=".download-")
        with _impatient(), scratch_folder as scratch:
            download_url(url, scratch, filename=path.name, md5=md5)
            os.replace(Path(scratch, path.name), path)
    except (OSError, URLError, HTTPException, RuntimeError) as error:
        raise DatasetError(
            f"{path}: could not be downloaded from {url} ({error}). Allowed: a network that "
            "reaches it, and a data folder that can be written to. Try again later, or set "
            "folders.data to a folder that holds the archive."
        ) from error


@contextmanager
def _impatient() -> Iterator[None]:
    """Let no connection of this process wait for ever; torchvision sets no time limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SILENT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
