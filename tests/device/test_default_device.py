"""`torch.set_default_device` changes nothing: every tensor's device is named where it is made."""

import numpy as np
import pytest
import torch
from torch import nn

import flatness
from flatness.command.factory import Factory, build
from flatness.experiment.checkpoints import read_run
from flatness.experiment.prepared import prepare
from flatness.experiment.training import train
from flatness.measurement.run import measure_run
from flatness.storage import read_dataset
from tests.experiment.short_run import DIGITS, PLAN
from tests.measurement.architectures import network

# Every kind of layer and way of measuring: closed forms, element uses, samples one by one.
MEASURED = [
    "mlp-tanh",
    "vgg10-8x8",
    "grouped-convolution",
    "residual-in-place",
    "attention",
    "shared-weights",
    "lstm",
    "weight-normalised",
]


@pytest.fixture
def without_values():
    """A function: call another while new tensors without a device have no values."""

    def call(function):
        torch.set_default_device("meta")
        try:
            return function()
        finally:
            torch.set_default_device(None)

    return call


def assert_same(found, expected):
    assert list(found.variables) == list(expected.variables)
    for name in expected.variables:
        one, other = found[name].values, expected[name].values
        assert one.shape == other.shape, name
        if one.dtype.kind == "f":
            assert np.array_equal(one, other, equal_nan=True), name
        else:
            assert (one == other).all(), name


@pytest.mark.parametrize("name", MEASURED)
def test_measuring(name, without_values):
    model, inputs = network(name, torch.float32)
    targets = torch.linspace(-1, 1, 4).expand(len(inputs), 4).contiguous()
    for function in (
        lambda: flatness.measure(model, inputs),
        lambda: flatness.curvature(model, inputs, targets, probes=2, exact_products=5),
        lambda: (
            flatness.curvature(model, inputs[:1], targets[:1], exact_products=100_000)
            if name == "mlp-tanh"
            else flatness.measure(model.double(), inputs.double())
        ),
    ):
        expected = function()
        assert_same(without_values(function), expected)


@pytest.mark.parametrize("name", ["mlp", "vgg10"])
def test_a_run_from_its_dataset_to_its_measurements(name, tmp_path, without_values):
    plan = PLAN.__class__(**vars(PLAN) | {"network": {"name": name}, "iterations": 3})

    def run(folder):
        dataset, trained, measured = (folder / each for each in ("data.nc", "run", "measured.nc"))
        prepare(DIGITS | {"samples": 3}, tmp_path, False, dataset, {})
        train(plan, dataset, trained, folder / "state")
        measure_run(
            trained,
            dataset,
            measured,
            dataset_name="digits",
            chunk_size=3,
            minibatch_window=3,
            curvature_options={"probes": 2, "exact_products": 0},
        )
        return trained, measured

    for folder in ("expected", "found"):
        (tmp_path / folder).mkdir()
    expected, numbers = run(tmp_path / "expected")
    found, numbers_found = without_values(lambda: run(tmp_path / "found"))
    assert found.read_bytes() == expected.read_bytes()
    assert read_run(found).iterations == plan.schedule
    assert_same(read_dataset(numbers_found), read_dataset(numbers))


def test_the_network_of_a_factory(without_values):
    model = without_values(lambda: build(Factory("here", lambda: nn.Linear(2, 3), None), {}, 0))
    assert model.weight.device.type == "cpu"
