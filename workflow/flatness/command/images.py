"""Images from a folder, as the inputs of a network."""

import hashlib
import io
import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import PIL
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from flatness.command.options import DEFAULT_SAMPLES
from flatness.errors import DatasetError
from flatness.experiment.datasets.image_folder import ENDINGS

# Pillow's modes, and how many channels each has once palettes are resolved.
_MODES = {1: "L", 3: "RGB"}
_CHANNELS = {"1": 1, "L": 1, "RGB": 3, "P": 3, "LA": 2, "RGBA": 4, "CMYK": 4, "YCbCr": 3}


@dataclass(frozen=True)
class Samples:
    """Images to measure.

    Args:
        inputs: (samples, channels, height, width), normalised.
        names: path of each below the folder, with "/".
        found: number of image files in the folder.
        sha256: of one line for each sample, its file's SHA-256, two spaces and its name: what
            `sha256sum NAMES | sha256sum` gives in the folder.
    """

    inputs: Tensor
    names: tuple[str, ...]
    found: int
    sha256: str

    def facts(self, options: Namespace) -> dict[str, object]:
        """What they are and where they come from, for provenance."""
        return {
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

    Raises:
        DatasetError: the folder is absent, or holds no image or fewer than asked for; a file
            cannot be decoded, has another number of channels than asked for, or another size
            than the first one.
    """
    names, found = _chosen(options.images, options.samples)
    dtype = getattr(torch, options.dtype)
    lines, images = [], []
    for name in names:
        file = Path(options.images, name)
        content = _content(file)
        lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
        pixels = _decode(file, content, options.channels, options.size)
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
    return Samples((stacked - mean) / std, names, found, digest)


def _chosen(folder: str, samples: int | None) -> tuple[tuple[str, ...], int]:
    """The paths of the images to measure, and how many there are in all."""
    if not os.path.isdir(folder):  # unlike Path.is_dir, False without permission
        raise DatasetError(
            f"--images {folder}: no such folder. Allowed: a folder with image files in it or its "
            "sub-folders. Correct the name."
        )
    names = sorted(_names(Path(folder)))
    if not names:
        raise DatasetError(
            f"--images {folder}: holds no image file. Allowed: files that end with "
            f"{', '.join(ENDINGS)} in it or its sub-folders. Name another folder."
        )
    if samples is not None and samples > len(names):
        raise DatasetError(
            f"--samples {samples}: {folder} holds {len(names)} images. Allowed: 1 to "
            f"{len(names)}. Lower it, or leave it out."
        )
    return tuple(names[: samples or DEFAULT_SAMPLES]), len(names)


def _names(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
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


def _decode(file: Path, content: bytes, channels: int, size: Sequence[int] | None) -> np.ndarray:
    """One image as (height, width, channels) uint8, as it is stored: never turned by its EXIF."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            mode = "RGBA" if "transparency" in image.info else image.mode
            if mode not in _CHANNELS:
                raise ValueError(f"mode {mode} is not read")
            if _CHANNELS[mode] != channels:
                raise DatasetError(
                    f"{file}: its number of channels is {_CHANNELS[mode]} (mode {mode}). Allowed: "
                    f"{channels}, as --channels says. Convert it, or change --channels."
                )
            image = image.convert(_MODES[channels])
            if size is not None:
                height, width = size
                image = image.resize((width, height), Image.Resampling.BILINEAR)
            return np.asarray(image).reshape(image.height, image.width, channels)
    except UnidentifiedImageError:
        reason = "of no known format"  # Pillow's own message holds an address in memory
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = str(error)
    raise DatasetError(
        f"{file}: is damaged or no image ({reason}). Allowed: images of 8 bits per channel. "
        "Replace it with a sound copy, or remove it."
    )


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"


def _per_channel(values: Sequence[float], dtype: torch.dtype) -> Tensor:
    return torch.tensor(values, dtype=dtype, device="cpu")[:, None, None]
