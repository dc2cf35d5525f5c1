"""The registered networks are those of the paper."""

import math

import pytest
import torch
from torch import nn

from flatness.experiment import networks


def test_registry_finds_one_function_per_file():
    assert networks.names() == ("mlp", "vgg10")
    assert set(networks.options("mlp")) == {"activation", "hidden_width", "hidden_layers"}


def test_mlp_is_the_papers():
    model = networks.build({"name": "mlp"}, (1, 28, 28), 10, 0)
    linear = [module for module in model if isinstance(module, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [
        (784, 500),
        (500, 500),
        (500, 500),
        (500, 10),
    ]
    assert sum(isinstance(module, nn.ReLU) for module in model) == 3
    assert sum(p.numel() for p in model.parameters()) == 785 * 500 + 2 * 501 * 500 + 501 * 10


def test_vgg10_is_the_papers():
    model = networks.build({"name": "vgg10"}, (3, 32, 32), 10, 0)
    convolutions = [module for module in model if isinstance(module, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [16, 16, 32, 64, 64]
    assert all(m.kernel_size == (3, 3) and m.padding == (2, 2) for m in convolutions)
    linear = [module for module in model if isinstance(module, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(256, 128), (128, 10)]
    assert sum(isinstance(module, nn.MaxPool2d) for module in model) == 5
    assert not any(getattr(module, "inplace", False) for module in model)


def test_vgg10_initialisation():
    model = networks.build({"name": "vgg10"}, (3, 32, 32), 10, 0)
    for module in model:
        if isinstance(module, nn.Conv2d):
            assert torch.all(module.bias == 0)
            expected = math.sqrt(2 / (9 * module.out_channels))
            spread = expected / math.sqrt(2 * module.weight.numel())
            assert abs(module.weight.std().item() - expected) < 5 * spread
        if isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            assert module.weight.abs().max().item() <= bound
            assert module.bias.abs().max().item() <= bound


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (1, 16, 16), (1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("name", networks.names())
def test_networks_take_8_to_32_pixels_and_1_or_3_channels(name, shape):
    model = networks.build({"name": name}, shape, 7, 0)
    assert model(torch.zeros(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize("name", networks.names())
def test_initialisation_is_a_pure_function_of_the_seed(name):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = networks.build({"name": name}, (1, 8, 8), 10, 5).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    two = networks.build({"name": name}, (1, 8, 8), 10, 5).state_dict()
    other = networks.build({"name": name}, (1, 8, 8), 10, 6).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(("name", "kind"), [("mlp", nn.Tanh), ("vgg10", nn.Tanh)])
def test_activation_is_an_option(name, kind):
    activation = kind.__name__.lower()
    model = networks.build({"name": name, "activation": activation}, (1, 8, 8), 10, 0)
    assert any(isinstance(module, kind) for module in model)
