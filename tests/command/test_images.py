"""Images from a folder, refused by name where they do not suit."""

import json
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
    "floating-point numbers": (
        lambda f: _save(f / "b.tif", "F"),
        r"b\.tif: is damaged or no image \(mode F is not read\)\. .* images of 1, 8 or 16 bits",
    ),
    "another size": (
        lambda f: _save(f / "b.png", size=(5, 4)),
        r"b\.png: has 5 x 4 pixels \(width x height\), a\.png has 4 x 4\. Allowed: one size\. Give "
        r"--size HEIGHT WIDTH",
    ),
    "text": (
        lambda f: (f / "b.png").write_text("no image"),
        r"b\.png: is damaged or no image \(of no known format\)\. It is not used\. Allowed: im",
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


def test_a_hundred_are_measured(here, measured):
    for k in range(250):
        _save(here / f"many/{k:03}.png")
    measured(images="many")
    found = read_dataset(here / "out/found.nc")
    assert found["image"].values.tolist() == [f"{5 * k // 2:03}.png" for k in range(100)]


def test_all_class_folders_have_a_share(here, measured):
    for k in range(6):
        _save(here / f"classes/{'abc'[k // 2]}/{k}.png")
    measured(images="classes", samples=3)
    found = read_dataset(here / "out/found.nc")
    assert found["image"].values.tolist() == ["a/0.png", "b/2.png", "c/4.png"]


def test_an_image_that_is_not_chosen_is_not_looked_at(photos, measured):
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


def test_colour_where_grey_is_asked_for(photos, refused):
    line = refused(channels=1)
    assert line.startswith("photos/a.png: is in colour (mode RGB), where grey images are asked for")


def test_grey_images_for_a_network_that_takes_one_channel(here, refused):
    for k in range(2):
        _save(here / f"grey/{k}.png", "L")
    line = refused(factory="factories.py:convolution", arguments='{"channels": 1}', images="grey")
    assert "calling it on inputs of shape (2, 3, 4, 4) raised RuntimeError: " in line
    assert line.endswith(
        "The images are grey: give --channels 1, or call it yourself in Python to see where it "
        "fails.\n"
    )


def test_linked_folders_are_followed(here, photos, measured, names):
    (here / "mine").mkdir()
    (here / "mine/own.png").write_bytes((photos / "z.png").read_bytes())
    for name in ("one", "two"):
        (here / "mine" / name).symlink_to(photos, target_is_directory=True)
    (here / "mine/link.png").symlink_to(photos / "b.png")
    measured(images="mine")
    expected = [*(f"{link}/{name}" for link in ("one", "two") for name in names)]
    found = read_dataset(here / "out/found.nc")["image"].values.tolist()
    assert found == sorted(["own.png", "link.png", *expected])


def test_hidden_files_are_passed_over_and_other_ones_are_counted(here, photos, measured, names):
    (photos / "a/._2.png").write_bytes(b"\0\5\x16\7")
    (photos / "a/more.gif").write_bytes(b"GIF89a")
    (photos / ".DS_Store").write_bytes(b"")
    page = measured()
    found = read_dataset(here / "out/found.nc")
    assert found["image"].values.tolist() == names
    assert json.loads(found.attrs["images"])["passed_over"] == 1
    assert ", 1 other files passed over" in page


def test_links_that_lead_nowhere_or_in_a_circle(here, photos, refused):
    (photos / "cat").symlink_to("absent", target_is_directory=True)
    assert refused().startswith("photos/cat: is a link to nothing. Allowed: links to folders")
    (photos / "cat").unlink()
    (photos / "c/d/up").symlink_to(photos, target_is_directory=True)
    assert refused().startswith("photos/c/d/up: links to a folder that it is in. Allowed: links")
