"""Parameters of no layer: added, multiplied, indexed, broadcast."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.measurement.comparison import assert_as_dense

T, WIDTH = 3, 4


class Between(nn.Module):
    """A use of one parameter on tokens (n, 3, 4), between two layers."""

    def __init__(self, shape, use):
        super().__init__()
        self.p, self.use = nn.Parameter(torch.randn(shape)), use
        self.embed, self.head = nn.Linear(5, WIDTH), nn.Linear(WIDTH, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.use(self.embed(x), self.p)).mean(1))


def _token_in_front(z, p):
    return torch.cat([p.expand(len(z), 1, WIDTH), z], 1)


def _written_into(z, p):
    z = z.clone()
    z[:, 0] = p
    return z


def _some_samples(z, p):
    chosen = (z[:, 0, 0] > 0)[:, None, None]
    return torch.where(chosen, z + p, z)


def _relative_bias(z, p):
    distance = torch.arange(T)[:, None] - torch.arange(T) + T - 1
    return torch.softmax(z @ z.mT + p[distance], -1) @ z


# name: (shape of the parameter, its use)
USES = {
    "added": (WIDTH, lambda z, p: z + p),
    "added in place": (WIDTH, lambda z, p: (1 * z).add_(p)),
    "subtracted": (WIDTH, lambda z, p: z - p),
    "subtracted from": (WIDTH, lambda z, p: p - z),
    "added with a factor": (WIDTH, lambda z, p: torch.add(z, p, alpha=-2.5)),
    "added twice": (WIDTH, lambda z, p: torch.sin(z + p) + p),
    "added to every position": ((1, T, WIDTH), lambda z, p: z + p),
    "added to positions as a column": ((T, 1), lambda z, p: z + p),
    "one number added": ((), lambda z, p: z + p),
    "added behind an exchange of axes": (
        (T, 1, WIDTH),
        lambda z, p: (z.mT.permute(2, 0, 1) + p).transpose(0, 1),
    ),
    "its first rows added": ((7, WIDTH), lambda z, p: z + p[:T]),
    "its rows looked up": ((7, WIDTH), lambda z, p: z + p[torch.tensor([5, 0, 5])]),
    "its rows embedded": ((7, WIDTH), lambda z, p: z + functional.embedding(torch.arange(T), p)),
    "added after a function": (WIDTH, lambda z, p: z + torch.sin(p)),
    "multiplied": (WIDTH, lambda z, p: z * p),
    "a residual scaled": (WIDTH, lambda z, p: z + p * torch.sin(z)),
    "one number multiplied": ((), lambda z, p: z * p),
    "a temperature": ((), lambda z, p: z / p),
    "a gate": (WIDTH, lambda z, p: z * torch.sigmoid(p)),
    "multiplied with itself": (WIDTH, lambda z, p: z * p * p),
    "multiplied and added": (WIDTH, lambda z, p: z * p + p),
    "addcmul": (WIDTH, lambda z, p: torch.addcmul(z, z.sin(), p)),
    "lerp": (WIDTH, lambda z, p: torch.lerp(z, z.sin(), p)),
    "a leak": (1, functional.prelu),
    "a class token": ((1, 1, WIDTH), _token_in_front),
    "written into": (WIDTH, _written_into),
    "for some samples": (WIDTH, _some_samples),
    "a relative bias": (2 * T - 1, _relative_bias),
    "a matrix": ((WIDTH, WIDTH), lambda z, p: z @ p),
    "a matrix from the left": ((WIDTH, T), lambda z, p: (p @ z).mT @ p[:, :1].expand(-1, WIDTH)),
    "a matrix by einsum": ((WIDTH, WIDTH), lambda z, p: torch.einsum("nti,oi->nto", z, p)),
    "a matrix for each position": (
        (T, WIDTH, WIDTH),
        lambda z, p: torch.einsum("nti,tio->nto", z, p),
    ),
    "bilinear": ((WIDTH, WIDTH, WIDTH), lambda z, p: functional.bilinear(z, z.sin(), p)),
    "a norm": ((2, WIDTH), lambda z, p: z * p.norm()),
}


@pytest.mark.parametrize("samples", [1, T, 5])
@pytest.mark.parametrize("name", USES)
def test_measured(name, samples):
    """Also for as many samples as positions, where the axes could be taken for each other."""
    torch.manual_seed(0)
    assert_as_dense(Between(*USES[name]), torch.randn(samples, T, 5))


@pytest.mark.parametrize("chunk_size", [1, 2])
@pytest.mark.parametrize("name", ["added to every position", "a class token", "multiplied"])
def test_measured_in_chunks(name, chunk_size):
    torch.manual_seed(0)
    assert_as_dense(Between(*USES[name]), torch.randn(5, T, 5), chunk_size=chunk_size)


def test_a_parameter_is_all_of_a_network():
    """No layer reads the inputs."""

    class Shift(nn.Module):
        def __init__(self):
            super().__init__()
            self.p = nn.Parameter(torch.randn(4))

        def forward(self, x):
            return torch.tanh(x + self.p)

    torch.manual_seed(0)
    assert_as_dense(Shift(), torch.randn(3, 4))
