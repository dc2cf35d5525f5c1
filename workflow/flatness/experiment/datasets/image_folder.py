"""Image files in class folders: PATH/train/CLASS/* and PATH/test/CLASS/*."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from flatness.errors import DatasetError
from flatness.experiment.datasets import Description, Images

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff", ".webp")


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
    pixels = _decode(_first(_files(dataset, "train")))
    return (1 if pixels.ndim == 2 else 3, *pixels.shape[:2])


def load(dataset, data_folder) -> Images:
    """Decode every image; all must have one size. The first one decides grey or colour."""
    train, test = _files(dataset, "train"), _files(dataset, "test")
    first = _decode(_first(train))
    mode = "L" if first.ndim == 2 else "RGB"
    arrays: list[np.ndarray] = []
    for classes in (train, test):
        numbered = dict(enumerate(classes.values()))
        arrays += stacked(numbered, mode, first.shape, "as the first image has")
    return Images(tuple(train), 255, *arrays)


def _first(classes: dict[str, list[Path]]) -> Path:
    return next(file for files in classes.values() for file in files)


def _files(dataset, split: str) -> dict[str, list[Path]]:
    return class_files(Path(dataset["path"]) / split, "path")


def class_files(folder: Path, key: str) -> dict[str, list[Path]]:
    """The image files in each class folder by its name, both sorted; none is opened.

    Args:
        folder: what holds the class folders.
        key: of the dataset in the configuration, which names the folder above.

    Raises:
        DatasetError: there is no such folder, or no class folder in it.
    """
    if not os.path.isdir(folder):  # unlike Path.is_dir, False without permission
        raise DatasetError(
            f"{folder}: no such folder. Allowed: an image folder with train/CLASS/* and "
            f"test/CLASS/* inside. Correct the dataset's `{key}`."
        )
    classes = sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
    if not classes:
        raise DatasetError(
            f"{folder}: holds no class folder. Allowed: one folder per class with its images. "
            f"Correct the dataset's `{key}`."
        )
    return {
        folder.name: sorted(f for f in folder.iterdir() if f.suffix.lower() in ENDINGS)
        for folder in classes
    }


def stacked(
    files: Mapping[int, list[Path]], mode: str, shape: tuple[int, ...], reason: str
) -> tuple[np.ndarray, np.ndarray]:
    """Decode the files of each label, in one order.

    Args:
        files: by label.
        mode: "L" for grey, "RGB" for colour.
        shape: (height, width) grey or (height, width, 3) colour, that each image must have.
        reason: why that size, as an error says it.

    Returns:
        (images, channels, height, width) uint8 and (images,) int64 labels.

    Raises:
        DatasetError: a file is damaged or has another size.
    """
    listed = [(label, file) for label, of_label in files.items() for file in of_label]
    images = np.stack([_decode(file, mode, shape, reason) for _, file in listed])
    if mode == "L":
        images = images[:, np.newaxis]
    else:
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return images, np.array([label for label, _ in listed], dtype=np.int64)


def _decode(file: Path, mode: str | None = None, shape=None, reason: str = "") -> np.ndarray:
    """One image as (height, width) grey or (height, width, 3) colour, uint8."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"mode {image.mode}, more than 8 bits per channel")
            grey = image.mode in ("1", "L")
            pixels = np.asarray(image.convert(mode or ("L" if grey else "RGB")))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(
            f"{file}: is damaged or no image ({error}). It is not used. "
            "Allowed: images of 8 bits per channel. Replace it with a sound copy, or remove it."
        ) from error
    if shape is not None and pixels.shape != shape:
        raise DatasetError(
            f"{file}: has {pixels.shape[1]}x{pixels.shape[0]} pixels. Allowed: "
            f"{shape[1]}x{shape[0]}, {reason}. Resize or remove it."
        )
    return pixels
