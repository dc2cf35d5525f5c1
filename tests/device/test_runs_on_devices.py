"""A run trained and measured on a device, from its plan to its files."""

import logging
from dataclasses import replace

import pytest
import torch
from torch import nn

from flatness.experiment import networks, training
from flatness.experiment.checkpoints import read_run
from flatness.experiment.prepared import prepare
from flatness.experiment.sgd import Sgd
from flatness.experiment.training import train
from flatness.measurement.run import measure_run
from flatness.storage import read_dataset
from tests.device.agreement import assert_agree
from tests.experiment.interruption import interrupt_after
from tests.experiment.short_run import DIGITS, PLAN

NETWORKS = {
    "mlp": {"name": "mlp", "activation": "tanh", "hidden_width": 30, "hidden_layers": 2},
    "vgg10": {"name": "vgg10"},
}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("digits") / "digits.nc"
    prepare(DIGITS | {"samples": 3}, path.parent, False, path, {})
    return path


@pytest.fixture(params=NETWORKS)
def plan(request, has_gpu):
    return replace(
        PLAN,
        network=NETWORKS[request.param],
        iterations=20,
        device="cuda" if has_gpu else "cpu",
    )


def test_a_run_on_a_device_is_that_on_the_cpu(plan, digits, tmp_path, configured, monkeypatch):
    train(replace(plan, device="cpu"), digits, tmp_path / "cpu", tmp_path / "a")
    monkeypatch.setattr(training, "configure", configured)
    train(plan, digits, tmp_path / "device", tmp_path / "b")
    expected, found = read_run(tmp_path / "cpu"), read_run(tmp_path / "device")
    assert found.facts["device"] != "cpu"
    assert found.iterations == expected.iterations
    for name, curve in expected.record.items():
        assert torch.allclose(found.record[name].float(), curve.float(), rtol=1e-3, atol=0.01), name
    for name, weight in expected.weights(20).items():
        assert torch.allclose(found.weights(20)[name], weight, rtol=1e-3, atol=1e-4), name


def test_a_stopped_run_ends_with_the_same_bits(plan, digits, tmp_path, computing_on, monkeypatch):
    def run(output, state):
        train(plan, digits, tmp_path / output, tmp_path / state)

    run("whole", "a")
    interrupt_after(3, monkeypatch, lambda: run("out", "b"))
    run("out", "b")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


def test_measuring_a_run(plan, digits, tmp_path, configured, monkeypatch):
    short = replace(plan, device="cpu", iterations=2, early_checkpoints=1, late_checkpoints=1)
    train(short, digits, tmp_path / "run", tmp_path / "state")

    def measure(name, **curvature):
        measure_run(
            tmp_path / "run",
            digits,
            tmp_path / name,
            dataset_name="digits",
            chunk_size=8,
            minibatch_window=2,
            curvature_options={"probes": 2, **curvature},
        )
        return read_dataset(tmp_path / name)

    expected = measure("cpu.nc", exact_products=100)
    monkeypatch.setattr("flatness.measurement.run.configure", configured)
    found = measure("device.nc", exact_products=100)
    assert found.attrs["device"] != expected.attrs["device"] == "cpu"
    assert_agree(found, expected, torch.float32)
    assert measure("again.nc", exact_products=100).identical(found)


def test_a_run_that_diverges_ends_where_it_does_on_the_cpu(
    digits, tmp_path, configured, monkeypatch
):
    plan = replace(PLAN, learning_rate=10.0, early_checkpoints=1, late_checkpoints=1)
    plan = replace(plan, network=NETWORKS["mlp"] | {"activation": "relu"})
    train(plan, digits, tmp_path / "cpu", tmp_path / "a")
    monkeypatch.setattr(training, "configure", configured)
    train(plan, digits, tmp_path / "device", tmp_path / "b")
    expected, found = read_run(tmp_path / "cpu"), read_run(tmp_path / "device")
    assert found.facts["diverged_at"] == expected.facts["diverged_at"] < 20
    assert found.iterations == expected.iterations
    assert len(found.record["minibatch_loss"]) == len(expected.record["minibatch_loss"])


@pytest.mark.parametrize(("where", "blocks"), [("cpu", [1, 100]), ("device", [1, 100, 100])])
def test_a_run_that_diverges_ends_a_block_later_at_most(
    digits, tmp_path, configured, monkeypatch, where, blocks
):
    done = []

    class Noting(Sgd):
        def __call__(self, batches):
            done.append(len(batches))
            return super().__call__(batches)

    plan = replace(PLAN, learning_rate=10.0, iterations=2000)
    plan = replace(plan, early_checkpoints=1, late_checkpoints=1)
    plan = replace(plan, network=NETWORKS["mlp"] | {"activation": "relu"})
    if where == "device":
        monkeypatch.setattr(training, "configure", configured)
    monkeypatch.setattr(training, "Sgd", Noting)
    train(plan, digits, tmp_path / "out", tmp_path / "state")
    assert done == blocks
    assert read_run(tmp_path / "out").facts["diverged_at"] < 100


class _Scattering(nn.Module):
    """Writes its input to positions, of which torch does not know whether one comes twice."""

    def forward(self, x):
        positions = torch.arange(x.numel(), device=x.device)
        return torch.zeros_like(x).put_(positions, x)


def test_an_operation_that_cannot_be_repeated_is_named(
    digits, tmp_path, computing_on, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    build = networks.build
    monkeypatch.setattr(
        training, "build", lambda *arguments: nn.Sequential(_Scattering(), build(*arguments))
    )
    plan = replace(PLAN, iterations=4)
    train(plan, digits, tmp_path / "out", tmp_path / "state")
    named = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(named) == 1
    assert named[0].startswith("the operation put_ has no repeatable implementation")
