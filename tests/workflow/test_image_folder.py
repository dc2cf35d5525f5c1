"""Where this machine keeps the images of a dataset is no part of any result."""

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from flatness.experiment.datasets.known import KNOWN

TRAINED = "results/small/runs/mlp_lr0.1_bs20_seed0/checkpoints.safetensors"


@pytest.fixture
def airplanes(tmp_path):
    """As many made-up images as CIFAR10 has of its first class."""
    draw, known = np.random.default_rng(0), KNOWN["CIFAR10"]
    for split, count in (("train", known.train_per_class), ("test", known.test_per_class)):
        of_class = tmp_path / "pictures" / split / "airplane"
        of_class.mkdir(parents=True)
        for number, pixels in enumerate(draw.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)):
            Image.fromarray(pixels).save(of_class / f"{number}.bmp")
    return tmp_path / "pictures"


def test_another_image_folder_makes_nothing_stale(workflow, airplanes):
    dataset = {"source": "torchvision", "dataset": "CIFAR10", "classes": [0], "outputs": 10}
    workflow.config["datasets"]["digits"] = dataset | {"image_folder": str(airplanes)}
    workflow.succeed("--cores", "1", TRAINED)
    stored = xr.load_dataset(workflow.folder / "results/small/datasets/digits.nc")
    assert stored.sizes["train_image"] == KNOWN["CIFAR10"].train_per_class
    assert "pictures" not in str(stored.attrs)
    airplanes.rename(airplanes.with_name("elsewhere"))
    for place in ({"image_folder": "elsewhere"}, {"image_folder": "nowhere"}, {}):
        workflow.config["datasets"]["digits"] = dataset | place
        assert workflow.planned("--cores", "1", TRAINED) == {}
    workflow.config["datasets"]["digits"] = dataset | {"sample_seed": 1, "image_folder": "nowhere"}
    assert set(workflow.planned("--cores", "1", TRAINED)) == {
        "prepare_dataset",
        "train_run",
        "total",
    }
