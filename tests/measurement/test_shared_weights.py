"""Weights that are used several times have the gradient of all uses together."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.measurement.comparison import assert_as_dense


class Uses(nn.Module):
    """A function of two layers on inputs of six numbers."""

    def __init__(self, use):
        super().__init__()
        self.use = use
        self.a, self.b, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.use(self, x)))


def _tied(*names):
    def build():
        model = Uses(lambda m, x: m.b(torch.tanh(m.a(x))))
        for name in names:
            setattr(model.b, name, getattr(model.a, name))
        return model

    return build


class Autoencoder(nn.Module):
    """The decoder is the encoder, transposed."""

    def __init__(self):
        super().__init__()
        self.encoder, self.bias = nn.Linear(6, 3), nn.Parameter(torch.randn(6))

    def forward(self, x):
        return functional.linear(torch.tanh(self.encoder(x)), self.encoder.weight.mT, self.bias)


class Images(nn.Module):
    """A convolution and its transpose with one kernel."""

    def __init__(self):
        super().__init__()
        self.convolution, self.head = nn.Conv2d(2, 3, 3, padding=1), nn.Linear(32, 2)

    def forward(self, x):
        z = torch.tanh(self.convolution(x))
        z = functional.conv_transpose2d(z, self.convolution.weight, padding=1)
        return self.head(torch.tanh(z).flatten(1))


class Siamese(nn.Module):
    """One encoder on two halves of the inputs."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4))
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.encoder(x[:, :3]) * self.encoder(x[:, 3:]))


class Folded(nn.Module):
    """Frames of a film are folded into the batch axis, and unfolded again."""

    def __init__(self, frames_first=False):
        super().__init__()
        self.frames_first = frames_first
        self.convolution, self.norm = nn.Conv2d(1, 3, 2), nn.GroupNorm(1, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        samples = len(x)
        if self.frames_first:
            x = x.transpose(0, 1)
        z = torch.tanh(self.norm(self.convolution(x.reshape(-1, *x.shape[2:])))).mean((2, 3))
        if self.frames_first:
            return self.head(z.reshape(-1, samples, 3).mean(0))
        return self.head(z.reshape(samples, -1, 3).mean(1))


class Looped(nn.Module):
    """One layer applied until nothing changes much."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        z = torch.zeros_like(x)
        for _ in range(5):
            z = torch.tanh(0.5 * self.layer(z) + x)
        return self.head(z)


def _crossed():
    """Two modules, each of which is the other one's bias and weight."""
    model = Uses(lambda m, x: m.b(torch.tanh(m.a(x))))
    model.b.bias = nn.Parameter(model.a.weight.detach()[0].clone())
    model.a.bias = model.b.bias
    return model


SHARED = {
    "tied weights": (_tied("weight"), (6,)),
    "tied biases": (_tied("bias"), (6,)),
    "tied layers": (_tied("weight", "bias"), (6,)),
    "one bias crossed": (_crossed, (6,)),
    "called twice": (lambda: Uses(lambda m, x: m.a(torch.tanh(m.a(x)))), (6,)),
    "called twice on the same": (lambda: Uses(lambda m, x: m.a(x) * m.a(x)), (6,)),
    "beside its functional": (
        lambda: Uses(lambda m, x: m.a(x) + functional.linear(x.sin(), m.a.weight)),
        (6,),
    ),
    "the functional twice": (
        lambda: Uses(lambda m, x: functional.linear(functional.linear(x, m.a.weight), m.a.weight)),
        (6,),
    ),
    "transposed": (lambda: Uses(lambda m, x: torch.tanh(m.a(x)) @ m.a.weight), (6,)),
    "its bias read elsewhere": (
        lambda: Uses(lambda m, x: m.b(torch.tanh(m.a(x))) * m.a.bias),
        (6,),
    ),
    "divided by its own norm": (
        lambda: Uses(lambda m, x: functional.linear(x, m.a.weight / m.a.weight.norm())),
        (6,),
    ),
    "beside its own norm": (lambda: Uses(lambda m, x: m.a(x) / m.a.weight.norm()), (6,)),
    "half of a weight": (lambda: Uses(lambda m, x: m.a(x) + x[:, :3] @ m.b.weight[:, :3].mT), (6,)),
    "an autoencoder": (Autoencoder, (6,)),
    "a kernel and its transpose": (Images, (2, 4, 4)),
    "two halves": (Siamese, (6,)),
    "frames folded": (Folded, (3, 1, 4, 4)),
    "frames first": (lambda: Folded(frames_first=True), (3, 1, 4, 4)),
    "a loop": (Looped, (6,)),
}


@pytest.mark.parametrize("samples", [1, 3, 4])
@pytest.mark.parametrize("name", SHARED)
def test_measured(name, samples):
    build, shape = SHARED[name]
    torch.manual_seed(0)
    assert_as_dense(build(), torch.randn(samples, *shape))
