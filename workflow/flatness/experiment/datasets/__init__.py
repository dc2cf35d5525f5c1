"""Sources of labelled images.

A source is a module with three functions. `describe(dataset, data_folder)`
answers from names and counts alone, without loading torch or decoding an image;
`input_shape(dataset)` gives channels, height and width without loading the images;
`load(dataset, data_folder)` returns the images, downloading what is absent. `dataset` is
one entry of `datasets` in the configuration, as a mapping. A source with the key `image_folder`
has a fourth one: `check_folder(dataset)` sees from names and counts whether the images are there.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatness.errors import DatasetError

if TYPE_CHECKING:
    import numpy as np

_MODULES = {
    "torchvision": "from_torchvision",
    "image_folder": "image_folder",
    "digits": "digits",
    "factory": "from_factory",
}


@dataclass(frozen=True)
class Description:
    """What a source holds, before classes are selected; label k is entry k.

    Args:
        class_names: name of each class.
        train_counts: training images of each class.
        test_counts: test images of each class.
        absent: archives that would have to be downloaded, relative to the data folder.
    """

    class_names: tuple[str, ...]
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Images:
    """The images of a source, before classes are selected.

    Args:
        class_names: name of each class; label k is entry k.
        pixel_max: pixel value that stands for 1.
        train_images, test_images: (images, channels, height, width) uint8.
        train_labels, test_labels: (images,) int64.
    """

    class_names: tuple[str, ...]
    pixel_max: int
    train_images: "np.ndarray"
    train_labels: "np.ndarray"
    test_images: "np.ndarray"
    test_labels: "np.ndarray"


def describe(dataset: Mapping[str, Any], data_folder: Path) -> Description:
    """What the source of `dataset` holds, or would hold once it is downloaded.

    Raises:
        DatasetError: it is absent and cannot be downloaded, or not laid out as it should be.
    """
    return _source(dataset).describe(dataset, data_folder)


def input_shape(dataset: Mapping[str, Any]) -> tuple[int, int, int]:
    """Channels, height and width of the images of `dataset`.

    Raises:
        DatasetError: it is an image folder that is absent or whose first image is damaged.
    """
    return _source(dataset).input_shape(dataset)


def check_at_hand(dataset: Mapping[str, Any], data_folder: Path, download: bool) -> None:
    """See from names and counts whether the source of `dataset` is there or may be downloaded.

    Raises:
        DatasetError: it is neither, or its `image_folder` holds something else.
    """
    absent = describe(dataset, data_folder).absent
    if absent and not download:
        raise DatasetError(
            f"{Path(data_folder, absent[0])} is absent, and `download` is false. Allowed: a data "
            f"folder with the archives of {dataset['dataset']} as torchvision leaves them there. "
            "Set folders.data to such a folder, or set download to true."
        )
    if dataset.get("image_folder"):
        _source(dataset).check_folder(dataset)


def load(dataset: Mapping[str, Any], data_folder: Path, download: bool) -> Images:
    """The images of the source of `dataset`, downloaded first where that is allowed.

    Raises:
        DatasetError: they are absent or damaged.
    """
    check_at_hand(dataset, data_folder, download)
    return _source(dataset).load(dataset, data_folder)


def selected_labels(dataset: Mapping[str, Any], classes: int) -> tuple[int, ...]:
    """The labels to keep, in increasing order."""
    if dataset["classes"] == "all":
        return tuple(range(classes))
    return tuple(sorted(dataset["classes"]))


def outputs_of_labels(labels: tuple[int, ...], outputs: int) -> dict[int, int]:
    """Which output stands for each selected label.

    With at least (largest label + 1) outputs a label is its own output; with exactly
    as many outputs as labels, its position among them.

    Raises:
        ValueError: neither is the case.
    """
    if outputs > max(labels):
        return {label: label for label in labels}
    if outputs == len(labels):
        return {label: position for position, label in enumerate(sorted(labels))}
    raise ValueError(f"{len(labels)}, or at least {max(labels) + 1}")


def module_name(dataset: Mapping[str, Any]) -> str:
    """The dotted name of the module that reads the source of `dataset`."""
    return f"{__name__}.{_MODULES[dataset['source']]}"


def _source(dataset: Mapping[str, Any]):
    return importlib.import_module(module_name(dataset))
