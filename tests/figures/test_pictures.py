"""Pictures for a published page: small, and still the same picture."""

import numpy as np
import pytest
from PIL import Image

from flatness.figures.pictures import write_small


def _drawing(path, noise=0):
    """Lines on white, with some noise."""
    pixels = np.full((300, 400, 3), 255, dtype=np.uint8)
    pixels[::20] = (0, 90, 180)
    pixels[:, ::40] = (200, 80, 0)
    if noise:
        drawn = np.random.default_rng(0).integers(0, noise, pixels.shape)
        pixels = (pixels - drawn.clip(0, pixels)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_few_colours_stay_as_they_are(tmp_path):
    pixels = _drawing(tmp_path / "figure.png")
    write_small(tmp_path / "figure.png", tmp_path / "small.png", 300_000)
    with Image.open(tmp_path / "small.png") as small:
        assert np.array_equal(np.asarray(small.convert("RGB")), pixels)


def test_large_ones_shrink_until_they_fit(tmp_path):
    _drawing(tmp_path / "figure.png", noise=255)
    write_small(tmp_path / "figure.png", tmp_path / "small.png", 70_000)
    assert (tmp_path / "small.png").stat().st_size <= 70_000
    with Image.open(tmp_path / "small.png") as small:
        width, height = small.size
    assert 0.4 * 400 <= width < 400
    assert height == round(300 * width / 400)


def test_what_cannot_fit_is_refused(tmp_path):
    _drawing(tmp_path / "figure.png", noise=255)
    with pytest.raises(ValueError, match=r"figure\.png: takes \d+ bytes"):
        write_small(tmp_path / "figure.png", tmp_path / "small.png", 100)
    assert not (tmp_path / "small.png").exists()
