"""Figures as small files, for pages that are published."""

import io
from pathlib import Path

from PIL import Image

from flatness.storage import atomic_path

# Few colours are enough for lines and letters; where they are not, the picture shrinks.
_COLOURS = 256
_SCALES = (1, 0.85, 0.7, 0.55, 0.4)


def write_small(picture: str | Path, path: str | Path, most_bytes: int) -> None:
    """Write a PNG file anew with a palette, as large as its size in bytes allows, atomically.

    Args:
        picture: a PNG file.
        path: where to.
        most_bytes: what the file may take.

    Raises:
        ValueError: even the smallest is larger.
    """
    with Image.open(picture) as opened:
        whole = opened.convert("RGB")
    for scale in _SCALES:
        size = [round(scale * length) for length in whole.size]
        resized = whole if scale == 1 else whole.resize(size, Image.Resampling.LANCZOS)
        content = io.BytesIO()
        resized.quantize(_COLOURS, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
        if content.tell() <= most_bytes:
            with atomic_path(path) as temporary:
                temporary.write_bytes(content.getvalue())
            return
    raise ValueError(f"{picture}: takes {content.tell()} bytes at a scale of {scale}")
