"""Images from a folder, as the inputs of a network."""

import hashlib
import os
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import PIL
import torch
from PIL import Image
from torch import Tensor

from flatness.command.options import DEFAULT_SAMPLES
from flatness.errors import DatasetError
from flatness.experiment.datasets.decoding import ENDINGS, GREY, decode, is_image

# How images that need no conversion are stored, by their channels.
_PLAIN = {1: "L", 3: "RGB"}
# Folders above those of classes, in lower case.
_SPLITS = {"train", "training", "val", "valid", "validation", "test"}


@dataclass(frozen=True)
class Samples:
    """Images to measure.

    Args:
        inputs: (samples, channels, height, width), normalised.
        names: path of each below the folder, with "/".
        found: number of image files in the folder.
        passed_over: number of other files there, but for hidden ones.
        converted: how many were stored in another of Pillow's modes, by that mode.
        sha256: of one line for each sample, its file's SHA-256, two spaces and its name: what
            `sha256sum NAMES | sha256sum` gives in the folder.
        classes: names of the class folders, in alphabetical order; empty where they are no
            classes.
    """

    inputs: Tensor
    names: tuple[str, ...]
    found: int
    passed_over: int
    converted: dict[str, int]
    sha256: str
    classes: tuple[str, ...]

    @property
    def labels(self) -> Tensor | None:
        """(samples,) the position of each image's class; None where there are none."""
        if not self.classes:
            return None
        position = {name: k for k, name in enumerate(self.classes)}
        return torch.tensor([position[name.partition("/")[0]] for name in self.names])

    @property
    def all_grey(self) -> bool:
        """Whether every image is stored in grey and was given three channels."""
        return sum(self.converted.get(mode, 0) for mode in GREY) == len(self.names)

    def facts(self, options: Namespace) -> dict[str, object]:
        """What they are and where they come from, for provenance."""
        unusual = {
            "passed_over": self.passed_over,
            "converted": self.converted,
            "classes": list(self.classes),
        }
        return {name: value for name, value in unusual.items() if value} | {
            "folder": options.images,
            "found": self.found,
            "measured": len(self.names),
            "sha256": self.sha256,
            "channels": self.inputs.shape[1],
            "height": self.inputs.shape[2],
            "width": self.inputs.shape[3],
            "resized": options.size is not None,
            "decoder": f"pillow {PIL.__version__}",
        }


def read_samples(options: Namespace) -> Samples:
    """Decode and normalise the images: (pixels / 255 - mean) / std in the dtype asked for.

    What is stored in another way than asked for is converted as `decoding` says.

    Raises:
        DatasetError: the folder is absent, or holds no image or fewer than asked for; an image
            lies in no class folder where they are asked for; a file cannot be decoded, is in
            colour where grey is asked for, or has another size than the first one.
    """
    every, passed_over = _found(options.images)
    classes = _classes(options.images, every) if options.class_folders else ()
    names = _spread(options.images, every, options.samples)
    dtype = getattr(torch, options.dtype)
    lines, images, stored = [], [], Counter()
    for name in names:
        file = Path(options.images, name)
        content = _content(file)
        lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
        image, mode = decode(file, options.channels, content)
        stored[mode] += mode != _PLAIN[options.channels]
        pixels = _pixels(image, options.size)
        if images and pixels.shape != images[0].shape:
            raise DatasetError(
                f"{file}: has {_size(pixels)} pixels (width x height), {names[0]} has "
                f"{_size(images[0])}. Allowed: one size. Give --size HEIGHT WIDTH to resize all."
            )
        images.append(pixels)
    stacked = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy()).to(dtype) / 255
    mean = _per_channel(options.mean or [0.0] * options.channels, dtype)
    std = _per_channel(options.std or [1.0] * options.channels, dtype)
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    converted = dict(sorted((+stored).items()))
    return Samples(
        (stacked - mean) / std, names, len(every), passed_over, converted, digest, classes
    )


def _found(folder: str) -> tuple[list[str], int]:
    """The paths of all images, in alphabetical order, and how many other files there are."""
    if not os.path.isdir(folder):  # unlike Path.is_dir, False without permission
        raise DatasetError(
            f"--images {folder}: no such folder. Allowed: a folder with image files in it or its "
            "sub-folders. Correct the name."
        )
    files = list(_names(Path(folder)))
    names = sorted(name for name in files if is_image(name.rpartition("/")[2]))
    if not names:
        raise DatasetError(
            f"--images {folder}: holds no image file. Allowed: files that end with "
            f"{', '.join(ENDINGS)} in it or its sub-folders. Name another folder."
        )
    return names, len(files) - len(names)


def _classes(folder: str, names: Sequence[str]) -> tuple[str, ...]:
    """The folders in which all images lie."""
    loose = next((name for name in names if "/" not in name), None)
    if loose is not None:
        raise DatasetError(
            f"--class-folders: {Path(folder, loose)} lies in no folder of a class. Allowed: images "
            f"in folders below {folder}, one for each class. Move it, or leave --class-folders out."
        )
    classes = tuple(sorted({name.partition("/")[0] for name in names}))
    if {name.lower() for name in classes} <= _SPLITS and all(n.count("/") > 1 for n in names):
        raise DatasetError(
            f"--class-folders: {folder} holds {' and '.join(classes)}, in which there are folders "
            "again. Allowed: the folder in which those of the classes lie. Give --images "
            f"{Path(folder, classes[-1])}, or leave --class-folders out."
        )
    return classes


def _spread(folder: str, names: Sequence[str], samples: int | None) -> tuple[str, ...]:
    """The paths of the images to measure."""
    if samples is not None and samples > len(names):
        raise DatasetError(
            f"--samples {samples}: {folder} holds {len(names)} images. Allowed: 1 to "
            f"{len(names)}. Lower it, or leave it out."
        )
    wanted = min(samples or DEFAULT_SAMPLES, len(names))
    # Images of one class lie together in their order.
    return tuple(names[k * len(names) // wanted] for k in range(wanted))


def _names(folder: Path) -> Iterator[str]:
    """The files in a folder and its sub-folders, links followed, but for hidden ones."""
    above: dict[str, tuple[str, ...]] = {str(folder): ()}
    for parent, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        chain = (*above[parent], os.path.realpath(parent))
        for name in folders:
            place = os.path.join(parent, name)
            if os.path.realpath(place) in chain:
                raise DatasetError(
                    f"{place}: links to a folder that it is in. Allowed: links to other folders. "
                    "Remove it."
                )
            above[place] = chain
        for name in (name for name in files if not name.startswith(".")):
            if not is_image(name) and not os.path.exists(Path(parent, name)):
                raise DatasetError(
                    f"{Path(parent, name)}: is a link to nothing. Allowed: links to folders and "
                    "files. Mend or remove it."
                )
            yield Path(parent, name).relative_to(folder).as_posix()


def _refuse(error: OSError) -> NoReturn:
    raise DatasetError(
        f"{error.filename}: cannot be read ({error.strerror}). Allowed: folders that you may read. "
        "Change its permissions, or remove it."
    ) from None


def _content(file: Path) -> bytes:
    try:
        str(file).encode()
        return file.read_bytes()
    except UnicodeEncodeError:
        raise DatasetError(
            f"{str(file)!r}: its name is no UTF-8. Allowed: names that a netCDF file can hold. "
            "Rename it."
        ) from None
    except OSError as error:
        raise DatasetError(
            f"{file}: cannot be read ({error.strerror}). Allowed: files that you may read. Change "
            "its permissions, or remove it."
        ) from None


def _pixels(image: Image.Image, size: Sequence[int] | None) -> np.ndarray:
    """(height, width, channels) uint8, as it is stored or resized."""
    if size is not None:
        height, width = size
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(image.height, image.width, -1)


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"


def _per_channel(values: Sequence[float], dtype: torch.dtype) -> Tensor:
    return torch.tensor(values, dtype=dtype, device="cpu")[:, None, None]
