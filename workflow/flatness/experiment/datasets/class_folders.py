"""The images of a known dataset from class folders, in the place of its archives.

PATH/train/CLASS/* and PATH/test/CLASS/*, with the classes' names as in the dataset. Only the
selected classes need be there, and only they are read.
"""

from pathlib import Path

import numpy as np

from flatness.errors import DatasetError
from flatness.experiment.datasets import Images, image_folder, selected_labels
from flatness.experiment.datasets.known import KNOWN

# What these formats store is what was put in, pixel by pixel.
LOSSLESS = (".png", ".bmp", ".ppm")


def check(dataset) -> None:
    """See from names and counts whether the folders hold the images of the selected classes.

    Raises:
        DatasetError: they do not; the first mistake is named.
    """
    for split in ("train", "test"):
        _files(dataset, split)


def load(dataset) -> Images:
    """Decode the images of the selected classes, with the labels and names of the dataset.

    Raises:
        DatasetError: an image is absent, damaged or of another size.
    """
    known = KNOWN[dataset["dataset"]]
    arrays: list[np.ndarray] = []
    for split in ("train", "test"):
        arrays += image_folder.stacked(
            _files(dataset, split),
            known.input_shape,
            f"as every image of {dataset['dataset']} has",
        )
    return Images(known.class_names, 255, *arrays)


def folder_name(class_name: str) -> str:
    """The folder of a class: its name, with "_" for "/", which no folder's name can hold."""
    return class_name.replace("/", "_")


def _files(dataset, split: str) -> dict[int, list[Path]]:
    """The image files of each selected label, sorted.

    Raises:
        DatasetError: a folder is absent or no class, a class has too few or too many files, or
            a file's format may have changed the pixels.
    """
    name, known = dataset["dataset"], KNOWN[dataset["dataset"]]
    folder = Path(dataset["image_folder"]) / split
    found = image_folder.class_files(folder, "image_folder")
    names = tuple(map(folder_name, known.class_names))
    for unknown in (each for each in found if each not in names):
        raise DatasetError(
            f"{folder / unknown}: is no class of {name}. Allowed: {', '.join(names)}. "
            "Rename or remove this folder."
        )
    labels = selected_labels(dataset, len(names))
    for absent in (names[label] for label in labels if names[label] not in found):
        raise DatasetError(
            f"{folder / absent}: no such folder. Allowed: a folder for each of the selected "
            f"classes of {name}. Add it, or change `classes` of the dataset."
        )
    per_class = known.train_per_class if split == "train" else known.test_per_class
    files = {label: found[names[label]] for label in labels}
    for label, of_class in files.items():
        if len(of_class) != per_class:
            raise DatasetError(
                f"{folder / names[label]}: holds {len(of_class)} images. Allowed: {per_class:,}, "
                f"as each class of {name} has in {split}. Complete it, or leave out "
                "`image_folder` of the dataset to read the archives."
            )
        for file in of_class:
            if file.suffix.lower() not in LOSSLESS:
                raise DatasetError(
                    f"{file}: may have lost pixels' values in this format. Allowed: "
                    f"{', '.join(LOSSLESS)}. Replace it with a lossless copy of the original."
                )
    return files
