"""Networks that a configuration names by a place are tried before anything starts."""

import re
import sys

import pytest
import torch

from flatness.errors import FlatnessError, SettingsError
from flatness.experiment import networks
from flatness.jobs import trial

FILE = """\
import numpy as np
import torch
from torch import nn


def cnn(input_shape, outputs, width=4):
    channels, height, breadth = input_shape
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(),
        nn.Linear(width * height * breadth, outputs),
    )


class Dense(nn.Module):
    def __init__(self, units=10):
        super().__init__()
        self.layer = nn.Linear(64, units)

    def forward(self, images):
        return self.layer(images.flatten(1))


class Named(Dense):
    def forward(self, images):
        return {"logits": super().forward(images)}


def from_another_generator():
    network = Dense()
    network.layer.bias.data = torch.from_numpy(np.random.rand(10)).float()
    return network


def failing():
    raise KeyError("no such option")


def number():
    return 3


class Mixing(Dense):
    def forward(self, images):
        return super().forward(images - images.mean(0))
"""


@pytest.fixture
def file(folder):
    (folder / "my.py").write_text(FILE)


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    "network",
    [
        {"factory": "my.py:cnn", "arguments": {"width": 3}},
        {"factory": "my.py:Dense"},
        {"name": "factory", "factory": "my:Dense"},
        {"name": "mlp"},
    ],
)
def test_sound_networks_are_accepted(small, network):
    trial.check_networks(small(network), "my.yaml")


REFUSED = {
    "my.py:Named": r"returns a dict\. Allowed: a network that maps .* to \(samples, 10\)",
    "my.py:from_another_generator": r"its 'layer\.bias' differs each time it is built\. Allowed: ",
    "my.py:failing": r"calling it raised KeyError: 'no such option'\. Allowed: code that runs\.",
    "my.py:number": r"returned an object of type int\. Allowed: a torch\.nn\.Module\.",
    "my.py:absent": r"my\.py has no function 'absent'\. Allowed: .* defined there: Dense, Mixing, ",
    "other.py:cnn": r"no file other\.py\. Allowed: ",
    "my.py:Mixing": r".*sample",
}


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize("place", REFUSED)
def test_others_are_refused_in_one_line(small, place):
    with pytest.raises(SettingsError) as caught:
        trial.check_networks(small({"factory": place}), "my.yaml")
    line = str(caught.value)
    assert line.startswith(f"my.yaml: studies.mlp.network.factory = '{place}': ")
    assert re.search(REFUSED[place], line)
    assert "\n" not in line


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 3}, r"returns shape \(2, 3\) for 2 samples\. Allowed: .*\(samples, 10\)"),
        ({"depth": 3}, r"calling it raised TypeError: .*unexpected keyword argument 'depth'"),
    ],
)
def test_arguments_are_passed(small, arguments, message):
    with pytest.raises(SettingsError, match=message):
        trial.check_networks(small({"factory": "my.py:Dense", "arguments": arguments}), "my.yaml")


@pytest.mark.usefixtures("file")
def test_weights_are_a_function_of_the_seed():
    network = {"name": "factory", "factory": "my.py:cnn", "arguments": {}}
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, same, other = (networks.build(network, (1, 8, 8), 10, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one[0].weight, same[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"factory": "my.py"}, "factory = 'my.py' is no usable name. Allowed: path/to/file.py:fun"),
        ({"factory": "my.py:cnn", "width": 3}, "width is not a known key. Allowed here: name, fac"),
        ({}, "network.name is missing. Allowed: mlp, vgg10 (or a `factory`). Add it."),
        (
            {"name": "cnn"},
            "network.name = 'cnn' is unknown. Allowed: 'mlp', 'vgg10' (or a",
        ),
    ],
)
def test_settings_are_strict(small, network, message):
    with pytest.raises(FlatnessError) as caught:
        small(network)
    assert message in str(caught.value)


OPTIONS = {
    "not keyword-only": "width: Annotated[int, Field(description='Units.')] = 3",
    "no annotation": "*, width=3",
    "no description": "*, width: int = 3",
}


@pytest.mark.parametrize("problem", OPTIONS)
def test_an_option_of_a_registered_network_needs_words(problem, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from typing import Annotated\nfrom pydantic import Field\n"
        f"def mine(input_shape, outputs, {OPTIONS[problem]}): ...\n"
    )
    monkeypatch.setattr(networks, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, networks.module_name("mine"), raising=False)
    with pytest.raises(SettingsError) as caught:
        networks.options("mine")
    line = str(caught.value)
    assert line.startswith(f"{tmp_path}/mine.py: option 'width' of the network 'mine' ")
    assert f" {problem}. Allowed: *, width: Annotated[int, Field(description=" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def mine(outputs): ...", "has no argument outputs"),
        ("import absent_library", "importing 'mine' from it raised ModuleNotFoundError"),
        ("def other(): ...", "importing 'mine' from it raised AttributeError"),
    ],
)
def test_a_module_without_the_function_is_named(text, message, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(text)
    monkeypatch.setattr(networks, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, networks.module_name("mine"), raising=False)
    with pytest.raises(SettingsError, match=message):
        networks.options("mine")


def test_a_mistake_in_a_registered_network_refuses_every_configuration(small, monkeypatch):
    monkeypatch.setattr("flatness.settings.loading.MISTAKES", ["mine.py: has no words."])
    with pytest.raises(SettingsError, match=r"^mine\.py: has no words\.$"):
        small()
