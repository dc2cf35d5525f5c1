"""Whether the images of a dataset are on this machine, and where."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flatness.errors import FlatnessError
from flatness.experiment.datasets import check_at_hand, describe


def located(dataset: Mapping[str, Any], data: Path) -> dict[str, Any]:
    """An entry of `datasets` with the place of its images on this machine.

    Args:
        dataset: the entry as it is published, without a place.
        data: folder of torchvision's archives, or of class folders, train/CLASS and test/CLASS.
    """
    here = dict(dataset)
    is_of_classes = (data / "train").is_dir() and (data / "test").is_dir()
    if is_of_classes and dataset["source"] == "torchvision":
        here["image_folder"] = str(data)
    if is_of_classes and dataset["source"] == "image_folder":
        here["path"] = str(data)
    return here


def why_absent(dataset: Mapping[str, Any], data: Path, download: bool) -> str | None:
    """Why the images of an entry from `located` cannot be read, and what to do; None if they can.

    Decided from names and counts; no image is read.
    """
    advice = (
        "Name with --data the folder that holds FashionMNIST/ or "
        "cifar-10-batches-py/, or one with train/CLASS and test/CLASS"
    )
    try:
        absent = () if dataset.get("image_folder") else describe(dataset, data).absent
        if absent and not download:
            return f"{data / absent[0]} is absent. {advice}, or allow --download"
        check_at_hand(dataset, data, download)
    except FlatnessError as error:
        return f"{error} {advice}"
    return None
