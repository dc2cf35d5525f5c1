"""Measuring changes nothing."""

import copy

import pytest
import torch

import flatness
from tests.measurement.architectures import ARCHITECTURES, network


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_network_stays_as_it_was(architecture):
    model, inputs = network(architecture, torch.float32)
    first = next(model.parameters())
    first.requires_grad_(False)
    last = list(model.parameters())[-1]
    last.grad = torch.ones_like(last)
    before = copy.deepcopy(model)
    with_gradient = [parameter.grad is not None for parameter in model.parameters()]
    inputs_before = inputs.clone()
    hooks = [len(module._forward_hooks) for module in model.modules()]

    flatness.measure(model, inputs)

    for (name, one), (_, other) in zip(
        model.state_dict().items(), before.state_dict().items(), strict=True
    ):
        assert torch.equal(one, other), name
    for (name, one), other in zip(model.named_parameters(), before.parameters(), strict=True):
        assert one.requires_grad == other.requires_grad, name
    assert [parameter.grad is not None for parameter in model.parameters()] == with_gradient
    assert torch.equal(last.grad, torch.ones_like(last))
    assert not any(module.training for module in model.modules())
    assert [len(module._forward_hooks) for module in model.modules()] == hooks
    assert torch.equal(inputs, inputs_before)
    assert not inputs.requires_grad
    assert inputs.grad is None


def test_generators_and_modes_stay_as_they_were():
    model, inputs = network("vgg10-8x8", torch.float32)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    precision = torch.backends.cuda.matmul.fp32_precision
    with torch.no_grad():
        flatness.measure(model, inputs)
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.backends.cuda.matmul.fp32_precision == precision


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_gradient_mode_does_not_matter(mode):
    model, inputs = network("mlp-tanh", torch.float64)
    expected = flatness.measure(model, inputs)
    with mode():
        assert flatness.measure(model, inputs.clone()).equals(expected)


def test_autocast_does_not_apply():
    model, inputs = network("mlp-tanh", torch.float32)
    expected = flatness.measure(model, inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert flatness.measure(model, inputs).equals(expected)


def test_buffers_that_a_forward_pass_writes_stay():
    class Counting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 2)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return self.layer(x)

    model = Counting().eval()
    flatness.measure(model, torch.ones(4, 3))
    assert model.calls == 0


def test_repeating_gives_the_same_bits():
    model, inputs = network("residual-in-place", torch.float32)
    assert flatness.measure(model, inputs).equals(flatness.measure(model, inputs))
