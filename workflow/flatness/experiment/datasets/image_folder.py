"""Image files in class folders: PATH/train/CLASS/* and PATH/test/CLASS/*."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from flatness.errors import DatasetError
from flatness.experiment.datasets import Description, Images
from flatness.experiment.datasets.decoding import ENDINGS, decode, is_image


def describe(dataset, data_folder) -> Description:
    """Count the image files of each class."""
    train, test = _files(dataset, "train"), _files(dataset, "test")
    if list(train) != list(test):
        differing = sorted(set(train) ^ set(test))[0]
        raise DatasetError(
            f"{dataset['path']}: class folder {differing!r} is not in both train and test. "
            "Allowed: the same class folders in both. Add or remove it."
        )
    return Description(
        tuple(train),
        tuple(len(files) for files in train.values()),
        tuple(len(files) for files in test.values()),
    )


def input_shape(dataset) -> tuple[int, int, int]:
    """Channels, height and width of the first image."""
    image, _ = decode(_first(_files(dataset, "train")))
    return len(image.getbands()), image.height, image.width


def load(dataset, data_folder) -> Images:
    """Decode every image; all must have one size. The first one decides grey or colour."""
    train, test = _files(dataset, "train"), _files(dataset, "test")
    shape = input_shape(dataset)
    arrays: list[np.ndarray] = []
    for classes in (train, test):
        numbered = dict(enumerate(classes.values()))
        arrays += stacked(numbered, shape, "as the first image has")
    return Images(tuple(train), 255, *arrays)


def _first(classes: dict[str, list[Path]]) -> Path:
    return next(file for files in classes.values() for file in files)


def _files(dataset, split: str) -> dict[str, list[Path]]:
    folder = Path(dataset["path"]) / split
    found = class_files(folder, "path")
    empty = [name for name, files in found.items() if not files]
    if empty:
        raise DatasetError(
            f"{folder / empty[0]}: holds no image{_and_more(empty)}. Allowed: class folders with "
            f"images that end with {', '.join(ENDINGS)}. Add images, or remove the folder."
        )
    return found


def class_files(folder: Path, key: str) -> dict[str, list[Path]]:
    """The image files in each class folder by its name, both sorted; none is opened.

    Folders and files may be links. What is hidden, as macOS's `._*`, is passed over.

    Args:
        folder: what holds the class folders.
        key: of the dataset in the configuration, which names the folder above.

    Raises:
        DatasetError: there is no such folder, or no class folder in it; a link leads nowhere; a
            class folder holds images in folders of its own.
    """
    if not os.path.isdir(folder):  # unlike Path.is_dir, False without permission
        raise DatasetError(
            f"{folder}: no such folder. Allowed: an image folder with train/CLASS/* and "
            f"test/CLASS/* inside. Correct the dataset's `{key}`."
        )
    entries = [entry for entry in _entries(folder) if not entry.name.startswith(".")]
    for entry in entries:
        if not os.path.exists(entry.path):
            raise DatasetError(
                f"{entry.path}: is a link to nothing. Allowed: class folders, or links to "
                "them. Mend or remove it."
            )
    classes = [entry.name for entry in entries if entry.is_dir()]
    if not classes:
        raise DatasetError(
            f"{folder}: holds no class folder. Allowed: one folder per class with its images. "
            f"Correct the dataset's `{key}`."
        )
    return {name: _images_of(folder / name) for name in classes}


def _images_of(folder: Path) -> list[Path]:
    """The images of one class.

    Raises:
        DatasetError: others lie one folder deeper, where they would not be found.
    """
    files = []
    for entry in _entries(folder):
        if is_image(entry.name):
            files.append(folder / entry.name)
        elif not entry.name.startswith(".") and entry.is_dir():
            deeper = next((e.name for e in _entries(Path(entry.path)) if is_image(e.name)), None)
            if deeper is not None:
                raise DatasetError(
                    f"{folder / entry.name / deeper}: lies one folder too deep. Allowed: images "
                    f"in the class folder itself, as {folder / deeper}. Move the images up, or "
                    "hide the folder by a name that begins with a dot."
                )
    return files


def _entries(folder: Path) -> Iterator[os.DirEntry]:
    """What a folder holds, sorted by name."""
    try:
        with os.scandir(folder) as found:
            yield from sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DatasetError(
            f"{folder}: cannot be read ({error.strerror}). Allowed: folders that you may read. "
            "Change its permissions, or remove it."
        ) from None


def _and_more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more of the class folders)" if len(names) > 1 else ""


def stacked(
    files: Mapping[int, list[Path]], shape: tuple[int, int, int], reason: str
) -> tuple[np.ndarray, np.ndarray]:
    """Decode the files of each label, in one order.

    Args:
        files: by label.
        shape: (channels, height, width), with 1 channel for grey and 3 for colour, that each
            image must have or be given without loss (see `decoding`).
        reason: why that size, as an error says it.

    Returns:
        (images, channels, height, width) uint8 and (images,) int64 labels.

    Raises:
        DatasetError: a file is damaged, has another size, or is in colour where grey is needed.
    """
    listed = [(label, file) for label, of_label in files.items() for file in of_label]
    images = np.stack([_pixels(file, shape, reason) for _, file in listed])
    images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return images, np.array([label for label, _ in listed], dtype=np.int64)


def _pixels(file: Path, shape: tuple[int, int, int], reason: str) -> np.ndarray:
    """One image as (height, width, channels) uint8."""
    channels, height, width = shape
    image, _ = decode(file, channels)
    if (image.height, image.width) != (height, width):
        raise DatasetError(
            f"{file}: has {image.width}x{image.height} pixels. Allowed: {width}x{height}, "
            f"{reason}. Resize or remove it."
        )
    return np.asarray(image).reshape(height, width, channels)
