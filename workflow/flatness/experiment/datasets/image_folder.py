"""Image files in class folders: PATH/train/CLASS/* and PATH/test/CLASS/*."""

import os
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
    pixels = _decode(_first(_files(dataset, "train")), None, None)
    return (1 if pixels.ndim == 2 else 3, *pixels.shape[:2])


def load(dataset, data_folder) -> Images:
    """Decode every image; all must have one size. The first one decides grey or colour."""
    train, test = _files(dataset, "train"), _files(dataset, "test")
    first = _decode(_first(train), None, None)
    mode = "L" if first.ndim == 2 else "RGB"
    train_images, train_labels = _stack(train, mode, first.shape)
    test_images, test_labels = _stack(test, mode, first.shape)
    return Images(tuple(train), 255, train_images, train_labels, test_images, test_labels)


def _first(classes: dict[str, list[Path]]) -> Path:
    return next(file for files in classes.values() for file in files)


def _files(dataset, split: str) -> dict[str, list[Path]]:
    folder = Path(dataset["path"]) / split
    if not os.path.isdir(folder):  # unlike Path.is_dir, False without permission
        raise DatasetError(
            f"{folder}: no such folder. Allowed: an image folder with train/CLASS/* and "
            "test/CLASS/* inside. Correct the dataset's `path`."
        )
    classes = sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
    if not classes:
        raise DatasetError(
            f"{folder}: holds no class folder. Allowed: one folder per class with its images. "
            "Correct the dataset's `path`."
        )
    return {
        folder.name: sorted(f for f in folder.iterdir() if f.suffix.lower() in ENDINGS)
        for folder in classes
    }


def _stack(classes: dict[str, list[Path]], mode: str, shape) -> tuple[np.ndarray, np.ndarray]:
    images = [_decode(file, mode, shape) for files in classes.values() for file in files]
    labels = [label for label, files in enumerate(classes.values()) for _ in files]
    stacked = np.stack(images)
    if mode == "L":
        stacked = stacked[:, np.newaxis]
    else:
        stacked = np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))
    return stacked, np.array(labels, dtype=np.int64)


def _decode(file: Path, mode: str | None, shape) -> np.ndarray:
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
            f"{shape[1]}x{shape[0]}, as the first image has. Resize or remove it."
        )
    return pixels
