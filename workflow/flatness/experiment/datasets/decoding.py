"""Image files as pixels: one way for class folders and for the command's folders.

| stored as                        | becomes                                                    |
| -------------------------------- | ---------------------------------------------------------- |
| grey, colour                     | itself                                                     |
| grey where colour is asked for   | three equal channels                                       |
| colour where grey is asked for   | one channel if all three are equal; else it is refused     |
| a palette                        | the colours of its entries                                 |
| transparency                     | dropped, as torchvision's `ImageFolder` drops it           |
| CMYK, YCbCr                      | RGB, as Pillow converts it                                 |
| 16 bits per channel              | the upper 8 of them                                        |
| 1 bit                            | 0 and 255                                                  |

Other kinds, such as floating-point numbers, have no largest value that stands for 1; they are
refused. Images are never turned by their EXIF.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flatness.errors import DatasetError

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
ALLOWED = "Allowed: images of 1, 8 or 16 bits per channel."

# Pillow's modes of grey images, and of those that have colours.
GREY = ("1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")


def is_image(name: str) -> bool:
    """Whether a file is taken for an image, by its name alone.

    Hidden files are none: macOS leaves a `._NAME` beside each image on foreign disks.
    """
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def decode(
    file: Path, channels: int | None = None, content: bytes | None = None
) -> tuple["Image.Image", str]:
    """One image, grey or in colour.

    Args:
        file: for messages, and read where its content is not given.
        channels: 1 or 3; None for those that it has.
        content: of the file.

    Returns:
        The image in Pillow's mode "L" or "RGB", and the mode that it is stored in.

    Raises:
        DatasetError: it cannot be read or decoded, or is in colour where grey is asked for.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        source = file if content is None else io.BytesIO(content)
        with Image.open(source) as image:
            stored = image.mode
            plain = _plain(image)
            if channels is None:
                return plain, stored
            return _with_channels(plain, channels, file, stored), stored
    except UnidentifiedImageError:
        reason = "of no known format"  # Pillow's own message may hold an address in memory
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = str(error)
    raise DatasetError(
        f"{file}: is damaged or no image ({reason}). It is not used. {ALLOWED} Replace it with a "
        "sound copy, or remove it."
    )


def _plain(image: "Image.Image") -> "Image.Image":
    """In mode "L" or "RGB", without transparency."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("P", "PA"):
        # Pillow warns where transparency that a palette has is dropped in one step.
        return image.convert("RGBA").convert("RGB")
    if image.mode in GREY:
        return image.convert("L")
    if image.mode in _COLOUR:
        return image.convert("RGB")
    raise ValueError(f"mode {image.mode} is not read")


def _with_channels(image: "Image.Image", channels: int, file: Path, stored: str) -> "Image.Image":
    if channels == len(image.getbands()):
        return image
    if channels == 3:
        return image.convert("RGB")
    red, green, blue = image.split()
    if not red.tobytes() == green.tobytes() == blue.tobytes():
        raise DatasetError(
            f"{file}: is in colour (mode {stored}), where grey images are asked for. Allowed: "
            "grey images, or three equal channels. Convert it, or ask for colour: with --channels "
            "3, or by a first image in colour."
        )
    return red
