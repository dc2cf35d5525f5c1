"""Images from a folder, refused by name where they do not suit."""

import os
import re

import numpy as np
import pytest
from PIL import Image

from flatness.storage import read_dataset


def _save(path, mode="RGB", size=(4, 4), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path, **options)


REFUSED = {
    "grey": (
        lambda f: _save(f / "b.png", "L"),
        r"b\.png: its number of channels is 1 \(mode L\)\. Allowed: 3,",
    ),
    "with transparency": (
        lambda f: _save(f / "b.png", "RGBA"),
        r"b\.png: its number of channels is 4",
    ),
    "palette with transparency": (
        lambda f: _save(f / "b.png", "P", transparency=0),
        r"b\.png: its number of channels is 4 \(mode RGBA\)",
    ),
    "for print": (
        lambda f: _save(f / "b.jpg", "CMYK"),
        r"b\.jpg: its number of channels is 4 \(mode CMYK\)",
    ),
    "16 bits": (lambda f: _save(f / "b.png", "I;16"), r"b\.png: is damaged or no image \(mode I;1"),
    "another size": (
        lambda f: _save(f / "b.png", size=(5, 4)),
        r"b\.png: has 5 x 4 pixels \(width x height\), a\.png has 4 x 4\. Allowed: one size\. Give "
        r"--size HEIGHT WIDTH",
    ),
    "text": (
        lambda f: (f / "b.png").write_text("no image"),
        r"b\.png: is damaged or no image \(of no known format\)\. Allowed: images of 8 bits",
    ),
    "half a file": (
        lambda f: (f / "b.png").write_bytes((f / "b.png").read_bytes()[:60]),
        r"b\.png: is damaged or no image \(",
    ),
    "link to nowhere": (
        lambda f: ((f / "b.png").unlink(), (f / "b.png").symlink_to("absent.png")),
        r"b\.png: cannot be read \(No such file or directory\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(photos, refused, case):
    change, message = REFUSED[case]
    change(photos)
    line = refused()
    assert line.startswith("photos/b.")
    assert re.search(message, line)


def test_names_that_are_no_text(photos, refused):
    (photos / "b.png").rename(os.fsdecode(os.fsencode(photos) + b"/b\xff.png"))
    assert "b\\udcff.png': its name is no UTF-8. Allowed: names that a netCDF" in refused()


def test_a_folder_that_cannot_be_read(refused, monkeypatch):
    scan = os.scandir

    def scandir(path):
        if str(path).endswith("c/d"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    line = refused()
    assert line.startswith("photos/c/d: cannot be read (Permission denied). Allowed: folders that ")


def test_folders_without_images(here, refused):
    assert refused(images="absent").startswith("--images absent: no such folder. Allowed: ")
    (here / "empty/.hidden").mkdir(parents=True)
    (here / "empty/notes.txt").write_text("")
    _save(here / "empty/.hidden/a.png")
    _save(here / "empty/._a.png")
    line = refused(images="empty")
    assert "--images empty: holds no image file. Allowed: files that end with .png, .jpg" in line


def test_more_samples_than_images(refused):
    line = refused(samples=7)
    assert line == (
        "--samples 7: photos holds 6 images. Allowed: 1 to 6. Lower it, or leave it out.\n"
    )


def test_the_first_hundred_are_measured(here, measured):
    for k in range(103):
        _save(here / f"many/{k:03}.png")
    measured(images="many")
    found = read_dataset(here / "out/found.nc")
    assert found["image"].values.tolist() == [f"{k:03}.png" for k in range(100)]


def test_an_image_beyond_the_first_samples_is_not_looked_at(photos, measured):
    (photos / "z.png").write_text("no image")
    measured(samples=5)


def test_palettes_are_resolved_and_bits_are_grey(here, measured):
    palette = Image.new("P", (4, 4))
    palette.putpalette([10, 20, 30] * 256)
    (here / "palette").mkdir()
    palette.save(here / "palette/a.png")
    measured(images="palette")
    norm = float(read_dataset(here / "out/found.nc")["input_norm"][0])
    assert norm == pytest.approx(np.sqrt(16 * (10**2 + 20**2 + 30**2)) / 255, rel=1e-6)

    (here / "bits").mkdir()
    Image.fromarray(np.eye(4, dtype=bool)).save(here / "bits/a.png")
    measured(
        images="bits", channels=1, arguments='{"inputs": 16}', output="bits.nc", overwrite=True
    )
    assert float(read_dataset(here / "bits.nc")["input_norm"][0]) == pytest.approx(2, rel=1e-6)
