"""The networks that are measured, at their full size and small enough for a test."""

import torch
import torchvision
from torch import Tensor, nn

from flatness.experiment.networks import build


class Residual(nn.Module):
    """Three residual blocks of two convolutions between a stem and a linear layer."""

    def __init__(self, channels: int, outputs: int):
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(channels, channels, 3, padding=1),
            )
            for _ in range(3)
        )
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Linear(channels * 4, outputs)

    def forward(self, x):
        """Scores (n, outputs) of images (n, 3, 16, 16)."""
        x = torch.relu(self.stem(x))
        for block in self.blocks:
            x = self.pool(torch.relu(x + block(x)))
        return self.head(x.flatten(1))


# By name: input shape, whether it convolves, and how to build it in both sizes.
_BUILD = {
    "VGG10 32x32x3": ((3, 32, 32), lambda: build({"name": "vgg10"}, (3, 32, 32), 10, 0)),
    "MLP 784-500-500-500-10": ((1, 28, 28), lambda: build({"name": "mlp"}, (1, 28, 28), 10, 0)),
    "residual 16x16x3": ((3, 16, 16), lambda: _seeded(lambda: Residual(32, 10))),
}
_SMALL = {
    "VGG10 32x32x3": ((3, 8, 8), lambda: build({"name": "vgg10"}, (3, 8, 8), 3, 0)),
    "MLP 784-500-500-500-10": (
        (1, 4, 4),
        lambda: build({"name": "mlp", "hidden_width": 7}, (1, 4, 4), 3, 0),
    ),
    "residual 16x16x3": ((3, 16, 16), lambda: _seeded(lambda: Residual(4, 3))),
}
NETWORKS = tuple(_BUILD)
# Of torchvision, with weights at random: input extent and outputs.
_BUILD |= {
    "resnet18 32x32x3": ((3, 32, 32), lambda: torchvision_network("resnet18", 10)),
    "vit_b_16 224x224x3": ((3, 224, 224), lambda: torchvision_network("vit_b_16", 10)),
}


def torchvision_network(name: str, outputs: int) -> nn.Module:
    """A network of torchvision with weights at random, in its last layer, too."""

    def construct():
        network = torchvision.models.get_model(name, weights=None, num_classes=outputs)
        last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
        nn.init.normal_(last.weight, std=last.in_features**-0.5)
        return network.eval()

    return _seeded(construct)


def full(name: str, samples: int = 100) -> tuple[nn.Module, Tensor]:
    """A network in eval mode and its samples."""
    shape, construct = _BUILD[name]
    return construct().eval(), _samples(samples, shape)


def small(name: str) -> tuple[nn.Module, Tensor]:
    """The same architecture with less of everything, and two samples."""
    shape, construct = _SMALL[name]
    return construct().eval(), _samples(2, shape)


def in_format(network: nn.Module, inputs: Tensor, layout: torch.memory_format):
    """Both in a memory format; inputs of fewer axes have only one."""
    return network.to(memory_format=layout), inputs.to(memory_format=layout)


def _samples(count: int, shape: tuple[int, ...]) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


def _seeded(construct):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return construct()
