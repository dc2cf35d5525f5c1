"""Images of every kind become the same pixels in class folders and in the command's folders."""

import struct
import warnings
import zlib
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flatness.command.images import read_samples
from flatness.errors import DatasetError
from flatness.experiment import datasets
from tests.experiment.short_run import DIGITS

NOWHERE = Path("nowhere")
DRAW = np.random.default_rng(0)
COLOUR = DRAW.integers(0, 256, (5, 6, 3), dtype=np.uint8)
GREY = DRAW.integers(0, 256, (5, 6), dtype=np.uint8)
DEEP = DRAW.integers(0, 2**16, (5, 6), dtype=np.uint16)
INK = DRAW.integers(0, 256, (5, 6, 4), dtype=np.uint8)
INDEX = DRAW.integers(0, 4, (5, 6), dtype=np.uint8)
PALETTE = DRAW.integers(0, 256, (4, 3), dtype=np.uint8)


def _palette(file, **options):
    image = Image.frombytes("P", (6, 5), INDEX.tobytes())
    image.putpalette(PALETTE.tobytes())
    image.save(file, **options)


def _png_of_16_bits(file):
    """In colour, which Pillow cannot write."""
    rows = DRAW.integers(0, 2**16, (5, 6, 3), dtype=np.uint16)
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", 6, 5, 16, 2, 0, 0, 0),
        b"IDAT": zlib.compress(raw),
        b"IEND": b"",
    }
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )
    file.write_bytes(content)
    return rows


def _by_hand(ink):
    """CMYK as Pillow documents it: each colour is what cyan, magenta or yellow and black leave."""
    c, m, y, k = (255 - ink[..., n].astype(float) for n in range(4))
    return np.stack([c * k, m * k, y * k], 2) / 255


# What is written, and the colours that it stands for, by definition of the format.
KINDS = {
    "colour": (lambda f: Image.fromarray(COLOUR).save(f), COLOUR),
    "colour with transparency": (
        lambda f: Image.fromarray(np.dstack([COLOUR, GREY])).save(f),
        COLOUR,
    ),
    "grey": (lambda f: Image.fromarray(GREY).save(f), np.dstack([GREY] * 3)),
    "grey with transparency": (
        lambda f: Image.fromarray(np.dstack([GREY, 255 - GREY])).save(f),
        np.dstack([GREY] * 3),
    ),
    "palette": (_palette, PALETTE[INDEX]),
    "palette with one transparent entry": (
        lambda f: _palette(f, transparency=1),
        PALETTE[INDEX],
    ),
    "palette with transparency": (
        lambda f: _palette(f, transparency=bytes([0, 100, 200, 255])),
        PALETTE[INDEX],
    ),
    "16 bits of grey": (lambda f: Image.fromarray(DEEP).save(f), np.dstack([DEEP >> 8] * 3)),
    "bits": (
        lambda f: Image.fromarray(GREY > 99).save(f),
        np.dstack([(GREY > 99) * np.uint8(255)] * 3),
    ),
}


@pytest.fixture
def folders(tmp_path):
    """A function: put what `write` writes beside images in colour; the pixels of both readers."""

    def read(write, name="1.png", first="0.png"):
        for split in ("train", "test"):
            (tmp_path / "images" / split / "one").mkdir(parents=True)
            Image.fromarray(COLOUR).save(tmp_path / "images" / split / "one" / first)
        write(tmp_path / "images/train/one" / name)
        dataset = DIGITS | {"source": "image_folder", "path": str(tmp_path / "images")}
        options = Namespace(
            images=str(tmp_path / "images/train"),
            samples=None,
            class_folders=False,
            dtype="float64",
            channels=3,
            size=None,
            mean=None,
            std=None,
        )
        with warnings.catch_warnings(action="error"):
            loaded = datasets.load(dataset, NOWHERE, False).train_images
            samples = read_samples(options)
        by_command = np.rint(samples.inputs.numpy() * 255).astype(np.uint8)
        np.testing.assert_array_equal(loaded, by_command)
        return loaded.transpose(0, 2, 3, 1), samples

    return read


@pytest.mark.parametrize("kind", KINDS)
def test_the_pixels_of_each_kind(folders, kind):
    write, expected = KINDS[kind]
    (first, found), samples = folders(write)
    np.testing.assert_array_equal(first, COLOUR)
    np.testing.assert_array_equal(found, expected)
    assert sum(samples.converted.values()) == (kind != "colour")


def test_16_bits_of_colour(folders):
    written = []
    (_, found), _ = folders(lambda f: written.append(_png_of_16_bits(f)))
    np.testing.assert_array_equal(found, written[0] >> 8)


def test_images_for_print(folders):
    (_, found), samples = folders(
        lambda f: Image.frombytes("CMYK", (6, 5), INK.tobytes()).save(f), "1.tif"
    )
    # Pillow rounds on the way.
    np.testing.assert_allclose(found, _by_hand(INK), atol=1)
    assert samples.converted == {"CMYK": 1}


def test_class_folders_decode_as_torchvision_does(folders, tmp_path):
    from torchvision.datasets import ImageFolder

    folders(KINDS["grey"][0])
    for k, kind in enumerate(KINDS):
        if kind != "16 bits of grey":  # of which torchvision makes white
            KINDS[kind][0](tmp_path / f"images/train/one/{k + 2}.png")
    theirs = ImageFolder(tmp_path / "images/train")
    dataset = DIGITS | {"source": "image_folder", "path": str(tmp_path / "images")}
    ours = datasets.load(dataset, NOWHERE, False).train_images.transpose(0, 2, 3, 1)
    assert len(theirs) == len(ours) == 2 + len(KINDS) - 1
    with warnings.catch_warnings(action="ignore"):
        for (image, _), pixels in zip(theirs, ours, strict=True):
            np.testing.assert_array_equal(np.asarray(image), pixels)


def _grey_first(tmp_path, second):
    for split in ("train", "test"):
        folder = tmp_path / split / "one"
        folder.mkdir(parents=True)
        Image.fromarray(GREY).save(folder / "0.png")
        Image.fromarray(second).save(folder / "1.png")
    return DIGITS | {"source": "image_folder", "path": str(tmp_path)}


def test_colour_after_a_grey_image_is_named(tmp_path):
    dataset = _grey_first(tmp_path, COLOUR)
    with pytest.raises(
        DatasetError, match=r"train/one/1\.png: is in colour \(mode RGB\), where grey .*first image"
    ):
        datasets.load(dataset, NOWHERE, False)


def test_three_equal_channels_are_grey(tmp_path):
    dataset = _grey_first(tmp_path, np.dstack([DEEP >> 8] * 3).astype(np.uint8))
    images = datasets.load(dataset, NOWHERE, False)
    assert images.train_images.shape == (2, 1, 5, 6)
    np.testing.assert_array_equal(images.train_images[1, 0], DEEP >> 8)
