"""In what a configuration's runs are not the paper's."""

import copy

import pytest
import yaml

from flatness.settings import load_settings
from flatness.settings.departures import departures


@pytest.fixture(scope="module")
def load(root):
    def load(name: str) -> dict:
        text = (root / "config" / f"{name}.yaml").read_text()
        return load_settings(yaml.safe_load(text), name).model_dump()

    return load


@pytest.mark.parametrize("name", ["config", "laptop"])
def test_fewer_runs_of_the_paper_are_still_its_runs(load, name):
    assert departures(load(name), load("config")) == []


def test_the_example_departs_in_everything_but_the_networks(load):
    assert departures(load("demo"), load("config")) == [
        "vgg10_digits: dataset digits in the place of cifar10",
        "vgg10_digits: loss half_squared_error in the place of mse",
        "vgg10_digits: learning rates as of 0.25, 0.5, 1 in mse",
        "mlp_digits: dataset digits in the place of fashionmnist",
        "mlp_digits: loss half_squared_error in the place of mse",
        "mlp_digits: learning rates as of 0.25, 0.5, 1 in mse",
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"network": {"name": "mlp", "activation": "tanh"}}, ["another network"]),
        ({"loss": "cross_entropy"}, ["loss cross_entropy in the place of mse", "no rate in mse"]),
        (
            {"sweep": [{"learning_rate": 0.3, "batch_size": 20}]},
            ["learning rates as of 0.3 in mse"],
        ),
        ({"sweep": [{"learning_rate": 0.1, "batch_size": 64}]}, ["batch sizes 64"]),
        ({"seeds": [7], "iterations": 10}, []),
    ],
)
def test_one_change_is_told(load, change, told):
    settings = copy.deepcopy(load("config"))
    settings["studies"]["mlp_fashionmnist"] |= change
    found = departures(settings, load("config"))
    assert len(found) == len(told)
    for sentence, part in zip(found, told, strict=True):
        assert sentence.startswith("mlp_fashionmnist: ")
        assert part in sentence


def test_a_renamed_dataset_is_the_same_and_other_classes_are_not(load):
    settings = copy.deepcopy(load("config"))
    settings["datasets"]["ours"] = settings["datasets"].pop("cifar10")
    settings["studies"]["vgg10_cifar10"]["dataset"] = "ours"
    assert departures(settings, load("config")) == []
    settings["datasets"]["ours"]["classes"] = (2, 3)
    assert departures(settings, load("config")) == [
        "vgg10_cifar10: dataset ours in the place of cifar10"
    ]


def test_a_network_without_a_study_is_not_told(load):
    settings = copy.deepcopy(load("demo"))
    settings["claims"]["mlp"] = None
    found = departures(settings, load("config"))
    assert found
    assert all(each.startswith("vgg10_digits: ") for each in found)
