"""Optimisers step as torch's do, and go on after a kill with the same bits."""

from dataclasses import asdict, replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from flatness.experiment import networks
from flatness.experiment.checkpoints import StateFolder, read_run
from flatness.experiment.optimisers import make_optimiser
from flatness.experiment.sgd import Sgd
from flatness.experiment.training import train
from flatness.settings.optimisers import AdamOptimiser, SgdOptimiser
from tests.experiment.interruption import interrupt_after

RATE = 0.02
CASES = {
    "momentum": (
        SgdOptimiser(name="sgd", momentum=0.9),
        lambda w: torch.optim.SGD(w, RATE, momentum=0.9),
    ),
    "Nesterov and decay": (
        SgdOptimiser(name="sgd", momentum=0.8, nesterov=True, weight_decay=0.05),
        lambda w: torch.optim.SGD(w, RATE, momentum=0.8, nesterov=True, weight_decay=0.05),
    ),
    "decay": (
        SgdOptimiser(name="sgd", weight_decay=0.1),
        lambda w: torch.optim.SGD(w, RATE, weight_decay=0.1),
    ),
    "Adam": (AdamOptimiser(name="adam"), lambda w: torch.optim.Adam(w, RATE)),
    "Adam and decay": (
        AdamOptimiser(name="adam", beta1=0.8, beta2=0.95, epsilon=1e-4, weight_decay=0.1),
        lambda w: torch.optim.Adam(w, RATE, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1),
    ),
    "AdamW": (
        AdamOptimiser(name="adam", weight_decay=0.1, decoupled=True),
        lambda w: torch.optim.AdamW(w, RATE, weight_decay=0.1),
    ),
}


class _WithUnused(nn.Module):
    def __init__(self):
        super().__init__()
        self.unused = nn.Linear(3, 3)
        self.layers = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
        self.layers[0].bias.requires_grad_(False)

    def forward(self, inputs):
        return self.layers(inputs)


@pytest.mark.parametrize("case", CASES)
def test_steps_are_those_of_torch(case):
    """In float64, in which 60 steps of both agree to some hundred roundings."""
    optimiser, of_torch = CASES[case]
    ours, theirs = _network(), _network()
    draw = torch.Generator().manual_seed(1)
    inputs = torch.randn(50, 6, generator=draw, dtype=torch.float64)
    targets = torch.randn(50, 2, generator=draw, dtype=torch.float64)
    batches = torch.randint(50, (60, 8), generator=draw)
    stepping = make_optimiser(optimiser.model_dump(), ours, RATE)
    iterate = Sgd(ours, functional.mse_loss, RATE, inputs, targets, stepping)
    losses = torch.cat([iterate(batches[:25]), iterate(batches[25:])])
    reference = of_torch([w for w in theirs.parameters() if w.requires_grad])
    expected = []
    for batch in batches:
        reference.zero_grad()
        loss = functional.mse_loss(theirs(inputs[batch]), targets[batch])
        loss.backward()
        reference.step()
        expected.append(loss.detach())
    assert torch.allclose(losses, torch.stack(expected), rtol=1e-11, atol=0)
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-13), name
    assert torch.equal(ours.unused.weight, _network().unused.weight)


@pytest.mark.parametrize("case", ["momentum", "Adam", "AdamW"])
def test_a_run_that_was_interrupted_has_the_same_bits(case, digits, tmp_path, plan, monkeypatch):
    plan = plan(optimiser=CASES[case][0].model_dump(), learning_rate=0.005)
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    train(plan, digits, whole, tmp_path / "whole.state")

    def again():
        train(plan, digits, parts, tmp_path / "parts.state")

    saved = interrupt_after(4, monkeypatch, again)
    assert saved[-1] > 0
    again()
    assert parts.read_bytes() == whole.read_bytes()


def test_what_is_remembered_matters(digits, tmp_path, plan, monkeypatch):
    """Without it, a run that goes on has other bits."""
    plan = plan(optimiser=CASES["momentum"][0].model_dump(), learning_rate=0.005)
    train(plan, digits, tmp_path / "whole.safetensors", tmp_path / "whole.state")

    def again():
        train(plan, digits, tmp_path / "parts.safetensors", tmp_path / "parts.state")

    interrupt_after(4, monkeypatch, again)
    load = StateFolder._load

    def forgetting(self, iteration):
        checkpoint = load(self, iteration)
        return checkpoint and replace(checkpoint, optimiser={})

    monkeypatch.setattr(StateFolder, "_load", forgetting)
    again()
    one, other = (read_run(tmp_path / f"{name}.safetensors") for name in ("whole", "parts"))
    assert not torch.equal(one.record["minibatch_loss"], other.record["minibatch_loss"])


def test_plain_sgd_is_not_mentioned_and_others_are(digits, tmp_path, plan):
    plain = plan(iterations=20)
    train(plain, digits, tmp_path / "plain.safetensors", tmp_path / "state")
    facts = read_run(tmp_path / "plain.safetensors").facts["plan"]
    assert facts == {name: v for name, v in asdict(plain).items() if name != "optimiser"}
    adam = plan(iterations=20, optimiser=CASES["Adam"][0].model_dump())
    train(adam, digits, tmp_path / "adam.safetensors", tmp_path / "state")
    run = read_run(tmp_path / "adam.safetensors")
    assert run.facts["plan"]["optimiser"]["name"] == "adam"
    assert set(run.weights(20)) == set(networks.build(adam.network, (1, 8, 8), 10, 0).state_dict())


def _network() -> _WithUnused:
    torch.manual_seed(0)
    return _WithUnused().double()
