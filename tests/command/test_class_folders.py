"""Targets from the folders that images lie in."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.autograd.functional import hessian

from flatness.storage import read_dataset


@pytest.fixture
def animals(here):
    """Seven images of three classes, one of them in a folder of its own below."""
    generator = np.random.default_rng(1)
    for name in ("cat/0.png", "cat/1.png", "ant/0.png", "bee/a/0.png", "bee/b.png", "bee/c.png"):
        (here / "animals" / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(here / "animals" / name)
    return here / "animals"


def _network():
    """As `dense` of the factories, in eval mode."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(48, 5), nn.Dropout(0.5), nn.Tanh(), nn.Linear(5, 3)
    ).eval()


@pytest.mark.usefixtures("animals")
def test_the_trace_of_the_hessian_is_that_of_one_hot_targets(here, measured):
    """Against the dense Hessian of the loss in float64."""
    torch.manual_seed(0)
    network = _network().double()
    torch.save(network.state_dict(), here / "weights.pt")
    text = measured(weights="weights.pt", images="animals", class_folders=True, dtype="float64")
    found = read_dataset(here / "out/found.nc")
    assert found["image"].to_numpy().tolist() == [
        *("ant/0.png", "bee/a/0.png", "bee/b.png", "bee/c.png", "cat/0.png", "cat/1.png")
    ]
    assert found["label"].to_numpy().tolist() == [0, 1, 1, 1, 2, 2]
    assert json.loads(found.attrs["images"])["classes"] == ["ant", "bee", "cat"]
    assert "3 folders, ant to cat; targets are one-hot" in text

    pixels = [np.array(Image.open(here / "animals" / name)) for name in found["image"].values]
    inputs = torch.tensor(np.stack(pixels)).permute(0, 3, 1, 2).double() / 255
    targets = torch.eye(3, dtype=torch.float64)[[0, 1, 1, 1, 2, 2]]
    names, parameters = zip(*network.named_parameters(), strict=True)
    sizes = [parameter.numel() for parameter in parameters]

    def loss(flat):
        pieces = (
            piece.view_as(parameter)
            for piece, parameter in zip(flat.split(sizes), parameters, strict=True)
        )
        given = dict(zip(names, pieces, strict=True))
        outputs = torch.func.functional_call(network, given, inputs)
        return (outputs - targets).square().sum() / (2 * len(inputs))

    flat = torch.cat([parameter.detach().flatten() for parameter in parameters])
    expected = hessian(loss, flat).diagonal().sum().item()
    (row,) = [line for line in text.splitlines() if line.startswith("| hessian_trace ")]
    assert float(row.split("|")[3]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("animals")
def test_several_checkpoints_have_them_too(here, measured):
    for iteration in (1, 2):
        torch.manual_seed(iteration)
        torch.save(_network().state_dict(), here / f"{iteration}.pt")
    text = measured(weights=["1.pt", "2.pt"], images="animals", class_folders=True)
    found = read_dataset(here / "out/found.nc")
    assert found["label"].to_numpy().tolist() == [[0, 1, 1, 1, 2, 2]] * 2
    assert np.isfinite(found["residual_curvature"].to_numpy()).all()
    assert "absent" not in next(r for r in text.splitlines() if r.startswith("| hessian_trace "))


def test_images_in_no_folder_are_refused(refused):
    line = refused(class_folders=True)
    assert "--class-folders: photos/a.png lies in no folder of a class" in line


@pytest.mark.usefixtures("animals")
def test_another_number_of_folders_than_outputs_is_refused(refused):
    line = refused(images="animals", class_folders=True, arguments='{"outputs": 4}')
    assert "animals holds 3 folders of classes (ant to cat), and the network has 4 outputs" in line


@pytest.mark.usefixtures("animals")
def test_a_layer_has_no_classes(refused):
    line = refused(images="animals", class_folders=True, layer="1")
    assert "--class-folders: beside --layer 1, whose outputs are no classes" in line


def test_without_them_the_page_says_what_to_do(measured):
    assert "curvature needs targets: --class-folders, or flatness.curvature" in measured()


@pytest.mark.usefixtures("animals")
def test_folders_of_training_and_test_images_are_no_classes(here, refused):
    for split in ("train", "test"):
        (here / "both" / split).parent.mkdir(exist_ok=True)
        shutil.copytree(here / "animals", here / "both" / split)
    line = refused(images="both", class_folders=True)
    assert "--class-folders: both holds test and train, in which there are folders again" in line
    assert "Give --images both/train" in line
