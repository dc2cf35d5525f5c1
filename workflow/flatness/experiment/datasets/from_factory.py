"""Images that a user's own function returns.

It is called whenever the images are asked about, once in a process, so a function that reads many
images had better read them from one file.
"""

import json
from functools import cache

import numpy as np

from flatness.errors import DatasetError, FlatnessError
from flatness.experiment.datasets import Description, Images
from flatness.own.places import find, naming_failures


def describe(dataset, data_folder) -> Description:
    """The classes of the images that the function returns, and how many there are of each."""
    images = load(dataset, data_folder)
    classes = len(images.class_names)
    train, test = (
        tuple(map(int, np.bincount(labels, minlength=classes)))
        for labels in (images.train_labels, images.test_labels)
    )
    return Description(images.class_names, train, test)


def input_shape(dataset) -> tuple[int, int, int]:
    """Channels, height and width of the images that the function returns."""
    return load(dataset, None).train_images.shape[1:]


def load(dataset, data_folder) -> Images:
    """Call the function and see that it returns what it should.

    Raises:
        DatasetError: there is no such function, it fails, or it returns something else.
    """
    return _called(dataset["factory"], json.dumps(dataset["arguments"], sort_keys=True))


@cache
def _called(factory: str, arguments: str) -> Images:
    what = f"factory = {factory!r}"
    try:
        function, _ = find(factory, what, "a flatness.experiment.datasets.Images")
        with naming_failures(what, "calling it", "Call it", of_network=False):
            images = function(**json.loads(arguments))
    except FlatnessError as error:
        raise DatasetError(str(error)) from error
    problem = _problem(images)
    if problem:
        raise DatasetError(
            f"{what}: returned {problem}. Allowed: a flatness.experiment.datasets.Images with "
            "images (images, channels, height, width) uint8 and labels (images,) int64 that number "
            "the class names from 0. Correct it."
        )
    return images


def _problem(images: object) -> str | None:
    """What is wrong with what a function returned, if anything."""
    if not isinstance(images, Images):
        return f"an object of type {type(images).__name__}"
    names = images.class_names
    if not isinstance(names, tuple) or not names or not all(isinstance(n, str) for n in names):
        return "class names that are no tuple of texts"
    if not isinstance(images.pixel_max, int) or not 1 <= images.pixel_max <= 255:
        return f"pixel_max = {images.pixel_max!r}, which is no integer from 1 to 255"
    shapes = {}
    for split in ("train", "test"):
        pixels, labels = getattr(images, f"{split}_images"), getattr(images, f"{split}_labels")
        for part, array, kind, axes in (
            ("images", pixels, np.uint8, 4),
            ("labels", labels, np.int64, 1),
        ):
            if not isinstance(array, np.ndarray):
                return f"{split}_{part} of type {type(array).__name__}"
            if array.dtype != kind or array.ndim != axes or not array.size:
                return f"{split}_{part} {array.dtype} of shape {array.shape}"
        if len(pixels) != len(labels):
            return f"{len(pixels)} {split}_images and {len(labels)} {split}_labels"
        if labels.min() < 0 or labels.max() >= len(names):
            wrong = labels.min() if labels.min() < 0 else labels.max()
            return f"the label {wrong} for {len(names)} class names"
        shapes[split] = pixels.shape[1:]
    if shapes["train"] != shapes["test"]:
        return f"train_images of {shapes['train']} and test_images of {shapes['test']}"
    return None
