"""How many operations are launched, and how often Python waits for the device.

Each operation costs a GPU a few microseconds whatever its size, and each wait lets it run dry. So
a number that is read in passing, such as by `.item()`, takes more time than what it decides.
"""

import pytest
import torch
from torch import nn

import flatness
from flatness.measurement.fetching import fetched
from tests.benchmarks.networks import full
from tests.benchmarks.training import advancing, images, plan

ITERATIONS = 100
# Operations of an iteration, by network.
TRAINING = {"mlp": 34.2, "vgg10": 59.2}
# Operations of measuring 100 samples, and waits, by network. Waits are for weights whose norms
# are found on the CPU (one each), for the scale of each parameter (one), to show that outputs and
# closed forms can be trusted (some ten), and for all results (six).
SWEEPS = {"MLP 784-500-500-500-10": (530, 28), "VGG10 32x32x3": (3700, 37)}


@pytest.fixture
def advance(device):
    """A function: a network's training loop on the device, after its first iterations."""

    def of(name):
        inputs, labels = (values[:100] for values in images(name))
        run = advancing(plan(name, 20, device=str(device)), inputs, labels)
        run(2)
        return run

    return of


@pytest.mark.parametrize("name", TRAINING)
def test_an_iteration(advance, counted, name):
    run = advance(name)
    operations, waits = counted(lambda: run(ITERATIONS))
    assert operations <= TRAINING[name] * ITERATIONS
    assert waits <= 1  # for the losses, at a checkpoint


def test_looks_at_the_loss_wait_for_the_block_before_only(advance, counted):
    run = advance("mlp")
    assert counted(lambda: run(4 * ITERATIONS))[1] <= 4


def test_a_number_that_is_read_in_each_iteration_is_noticed(advance, counted, monkeypatch):
    relu = nn.ReLU.forward
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: relu(self, x * x.sum().sign().item()))
    run = advance("mlp")
    assert counted(lambda: run(ITERATIONS))[1] > ITERATIONS


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep(device, counted, name):
    most, waits_at_most = SWEEPS[name]
    network, inputs = full(name)
    network, inputs = network.to(device), inputs.to(device)
    flatness.measure(network, inputs[:5])
    operations, waits = counted(lambda: flatness.measure(network, inputs))
    assert operations <= most
    assert waits <= waits_at_most


def test_more_samples_are_no_more_operations(device, counted):
    network, inputs = full("MLP 784-500-500-500-10")
    network, inputs = network.to(device), inputs.to(device)
    few, many = (counted(lambda n=n: flatness.measure(network, inputs[:n])) for n in (20, 40))
    assert few == many


def test_more_outputs_wait_no_more_often(device, counted):
    """What is done with each output is queued."""

    def waits(outputs):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, outputs)).to(device)
        return counted(lambda: flatness.measure(network.eval(), torch.ones(7, 6).to(device)))[1]

    assert waits(3) == waits(5)


def test_what_is_read_together_is_copied_together(device, counted):
    given = [torch.full((3,), float(k), device=device) for k in range(5)]
    given += [torch.ones((), dtype=torch.bool, device=device) for _ in range(3)]
    found = []
    assert counted(lambda: found.extend(fetched(given)))[1] == 2
    assert [each.device.type for each in found] == 8 * ["cpu"]
    assert [float(each.sum()) for each in found] == [0, 3, 6, 9, 12, 1, 1, 1]
