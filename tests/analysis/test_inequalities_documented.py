"""The page of inequalities names all of them, and says truly what they apply to."""

import re

import pytest
import torch
from torch import nn

import flatness

# What the last column of the page says, and a network without anything that is asked for there.
_LINEAR = "linear"
_CONVOLUTION = "affine"
_ALL_LINEAR = "Eq. 4 in every layer"
_NO_LAYER = "any"
_LAYERS = "one affine layer"


class _Squared(nn.Module):
    """No layer reads the inputs."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8))

    def forward(self, x):
        return (x.flatten(1) ** 2 * self.scale).unflatten(1, (2, 4)).sum(2)


def _listed(root):
    page = (root / "docs/inequalities.md").read_text()
    rows = re.findall(r"^\| `(\S+)` \|.*\| ([^|]+) \|$", page, re.MULTILINE)
    return dict(rows), len(rows)


def _absent(network, *shape):
    torch.manual_seed(0)
    found = flatness.bounds(flatness.measure(network.eval(), torch.rand(3, *shape) + 0.1))
    slack = found["slack"].to_series()
    return {re.sub(r"_k\d_", "_k<k>_", name) for name in slack.index[slack.isna()]}


def test_every_name_is_listed_once(root):
    listed, rows = _listed(root)
    found = flatness.bounds(flatness.measure(nn.Linear(4, 2).eval(), torch.ones(2, 4)), (1, 3))
    names = {re.sub(r"_k[13]_", "_k<k>_", name) for name in found["inequality"].to_numpy()}
    assert set(listed) == names
    assert rows == len(names)


@pytest.mark.parametrize(
    ("network", "shape", "failing"),
    [
        (lambda: nn.Sequential(nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 2)), (8,), set()),
        (
            lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2)),
            (1, 3, 3),
            {_LINEAR, _ALL_LINEAR},
        ),
        (
            lambda: nn.Sequential(
                nn.Linear(9, 9), nn.Unflatten(1, (1, 3, 3)), nn.Conv2d(1, 2, 3), nn.Flatten()
            ),
            (9,),
            {_ALL_LINEAR},
        ),
        (_Squared, (8,), {_LINEAR, _CONVOLUTION, _ALL_LINEAR, _LAYERS}),
    ],
    ids=["linear", "convolution", "convolution later", "no layer"],
)
def test_what_they_apply_to_is_as_listed(root, network, shape, failing):
    listed, _ = _listed(root)
    assert set(listed.values()) == {_LINEAR, _CONVOLUTION, _ALL_LINEAR, _NO_LAYER, _LAYERS}
    expected = {name for name, needs in listed.items() if needs in failing}
    assert _absent(network(), *shape) == expected
