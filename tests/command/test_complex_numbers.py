"""Complex numbers are refused before a cast drops their imaginary part."""

import re

import pytest
import safetensors.torch
import torch

FACTORY = '''
import torch
from torch import nn


class Spectral(nn.Module):
    """Two frequencies of each channel, multiplied."""

    def __init__(self, kind):
        super().__init__()
        values = torch.randn(3, 4, 3, dtype=torch.cfloat)
        if kind == "parameter":
            self.w = nn.Parameter(values)
        elif kind == "buffer":
            self.register_buffer("w", values)
        else:
            self.w = nn.Parameter(values.real.clone())
        self.head = nn.Linear(48, 2)

    def forward(self, x):
        return self.head(torch.fft.irfft2(torch.fft.rfft2(x) * self.w, s=(4, 4)).flatten(1))
'''


@pytest.fixture(autouse=True)
def _factory(here):
    (here / "spectral.py").write_text(FACTORY)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["parameter", "buffer"])
def test_in_a_network(refused, kind, dtype):
    line = refused(factory="spectral.py:Spectral", arguments=f'{{"kind": "{kind}"}}', dtype=dtype)
    assert re.search(
        rf"FACTORY spectral\.py:Spectral: {kind} 'w' is torch\.complex64\. Allowed: real numbers\. "
        r".*torch\.view_as_real.*torch\.view_as_complex",
        line,
    )


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_in_a_file_for_a_real_network(refused, here, name):
    state = {
        "w": torch.randn(3, 4, 3, dtype=torch.cfloat),
        "head.weight": torch.randn(2, 48),
        "head.bias": torch.randn(2),
    }
    if name.endswith(".pt"):
        torch.save(state, here / name)
    else:
        safetensors.torch.save_file(state, here / name)
    line = refused(factory="spectral.py:Spectral", arguments='{"kind": "real"}', weights=name)
    assert f"--weights {name}: holds complex numbers in w. Allowed: real ones." in line
