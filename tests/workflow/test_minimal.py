"""A study of one's own, from nothing but images and config/minimal.yaml."""

import numpy as np
import pytest
import xarray as xr
import yaml
from PIL import Image

from tests.workflow.small_workflow import ROOT

MINIMAL = ROOT / "config/minimal.yaml"


@pytest.fixture
def images(tmp_path):
    """A hundred images of 4 x 4 pixels for training and for testing: dark ones and bright ones."""
    draw = np.random.default_rng(0)
    for split in ("train", "test"):
        for name, low in (("bright", 156), ("dark", 0)):
            of_class = tmp_path / "images" / split / name
            of_class.mkdir(parents=True)
            for number, pixels in enumerate(draw.integers(low, low + 100, (50, 4, 4), np.uint8)):
                Image.fromarray(pixels).save(of_class / f"{number}.png")


def test_it_is_short():
    assert len(MINIMAL.read_text().splitlines()) < 25


def test_its_figure_is_drawn_from_ones_own_images(workflow, images):
    """Its 2,000 iterations and two seeds cut short on the command line."""
    workflow.config = yaml.safe_load(MINIMAL.read_text())
    short = "studies={mlp: {iterations: 4e1, seeds: [0], checkpoints: {early: 2}}}"
    workflow.succeed("--config", short, "--cores", "1", "--until", "draw_figure")
    results = workflow.folder / "results/minimal"
    assert (results / "figures/trends.png").exists()
    assert not (results / "tables").exists()
    assert len(list((results / "analysis").iterdir())) == 2
    for rate in ("0.05", "0.1"):
        run = xr.load_dataset(results / f"analysis/mlp_lr{rate}_bs20_seed0.nc")
        assert int(run["iteration"][-1]) == 40
        assert bool((run["sqrt_sharpness"].sel(sample_set="train") > 0).all())
