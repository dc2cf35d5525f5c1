"""torch's compiler, which takes seconds to load, is loaded by networks that are compiled alone."""

import subprocess
import sys

import pytest

CODE = """
import sys

import torch
from torch import nn

import flatness


class CompiledWhenCalled(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network, self.compiled = network, []

    def forward(self, x):
        if not self.compiled:
            self.compiled.append(torch.compile(self.network, backend="aot_eager"))
        return self.compiled[0](x)


def of(model):
    if sys.argv[1] == "measure":
        return flatness.measure(model, inputs)["singular_value"]
    return flatness.curvature(model, inputs, torch.zeros(4, 3))["residual_curvature"]


torch.manual_seed(0)
network = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).eval()
inputs = torch.randn(4, 6)
expected = of(network)
assert "torch._dynamo" not in sys.modules
found = of(CompiledWhenCalled(network).eval())
assert "torch._dynamo" in sys.modules
assert float(abs(found - expected).max()) == 0
"""


@pytest.mark.parametrize("function", ["measure", "curvature"])
def test_a_network_that_compiles_itself_when_it_is_called(function):
    result = subprocess.run([sys.executable, "-c", CODE, function], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
