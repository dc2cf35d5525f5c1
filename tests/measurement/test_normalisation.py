"""Normalisation layers in eval mode, torch's own and hand-written ones."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.measurement.comparison import assert_as_dense


class RootMeanSquare(nn.Module):
    """As language models have it."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class OneMore(nn.Module):
    """Scale by one plus the weight, as Gemma does."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        return functional.rms_norm(x, x.shape[-1:]) * (1 + self.weight)


class ChannelsFirst(nn.Module):
    """Over the channels of images, as ConvNeXt has it."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x):
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ChannelsFirstByHand(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.randn(channels)) for _ in range(2))

    def forward(self, x):
        x = x - x.mean(1, keepdim=True)
        x = x / (x.square().mean(1, keepdim=True) + 1e-6).sqrt()
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class Functional(nn.Module):
    """The functional, with a weight of its own and no bias."""

    def __init__(self, width):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(width))

    def forward(self, x):
        return functional.layer_norm(x, self.scale.shape, weight=self.scale)


# name: (layer, shape of what it reads)
NORMS = {
    "batch, one axis": (lambda: nn.BatchNorm1d(4), (4,)),
    "batch, positions": (lambda: nn.BatchNorm1d(4), (4, 3)),
    "batch, images": (lambda: nn.BatchNorm2d(4), (4, 3, 2)),
    "batch, volumes": (lambda: nn.BatchNorm3d(4), (4, 2, 3, 2)),
    "batch, without scale": (lambda: nn.BatchNorm2d(4, affine=False), (4, 3, 2)),
    "batch, synchronised": (lambda: nn.SyncBatchNorm(4), (4, 3, 2)),
    "layer, rows": (lambda: nn.LayerNorm(4), (3, 4)),
    "layer, several axes": (lambda: nn.LayerNorm((3, 4)), (2, 3, 4)),
    "layer, without bias": (lambda: nn.LayerNorm(4, bias=False), (3, 4)),
    "layer, without scale": (lambda: nn.LayerNorm(4, elementwise_affine=False), (3, 4)),
    "layer, functional": (lambda: Functional(4), (3, 4)),
    "layer, channels first": (lambda: ChannelsFirst(4), (4, 3, 2)),
    "layer, channels first by hand": (lambda: ChannelsFirstByHand(4), (4, 3, 2)),
    "group": (lambda: nn.GroupNorm(2, 4), (4, 3, 2)),
    "group, of one axis": (lambda: nn.GroupNorm(2, 4), (4,)),
    "group of all": (lambda: nn.GroupNorm(1, 4), (4, 5)),
    "instance": (lambda: nn.InstanceNorm2d(4, affine=True), (4, 3, 2)),
    "instance, positions": (lambda: nn.InstanceNorm1d(4, affine=True), (4, 5)),
    "instance, with statistics": (
        lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
        (4, 3, 2),
    ),
    "root mean square": (lambda: nn.RMSNorm(4), (3, 4)),
    "root mean square by hand": (lambda: RootMeanSquare(4), (3, 4)),
    "root mean square, one more": (lambda: OneMore(4), (3, 4)),
}


@pytest.mark.parametrize("first", [False, True], ids=["behind a layer", "first"])
@pytest.mark.parametrize("name", NORMS)
def test_measured(name, first):
    build, shape = NORMS[name]
    torch.manual_seed(0)
    norm = build()
    for tensor in (*norm.parameters(), *norm.buffers()):
        if tensor.is_floating_point():  # scales and statistics that differ from 0 and 1
            tensor.data.copy_(torch.rand(tensor.shape) + 0.5)
    before = [] if first else [nn.Flatten(), nn.LazyLinear(torch.Size(shape).numel())]
    model = nn.Sequential(
        *before,
        nn.Unflatten(1, shape) if before else nn.Identity(),
        norm,
        nn.Tanh(),
        nn.Flatten(),
        nn.LazyLinear(2),
    ).eval()
    inputs = torch.randn(3, *shape)
    model(inputs)
    assert_as_dense(model, inputs)


def test_a_normalisation_called_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm, self.head = nn.Linear(6, 4), nn.LayerNorm(4), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.norm(torch.tanh(self.norm(self.first(x)))))

    torch.manual_seed(0)
    assert_as_dense(Twice(), torch.randn(4, 6))
