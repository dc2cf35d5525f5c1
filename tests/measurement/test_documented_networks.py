"""What docs/other_networks.md advises runs, and gives the numbers of dense Jacobians."""

import doctest

import numpy as np
import pytest
import torch
from torch import nn

import flatness
from flatness.errors import MeasurementError
from tests.measurement.comparison import assert_as_dense
from tests.measurement.reference import dense_jacobians


def _run(root, section: str) -> dict:
    """Run the examples of one section; what they define."""
    page = (root / "docs/other_networks.md").read_text(encoding="utf-8")
    text = page.partition(f"## {section}\n")[2].partition("\n## ")[0].replace("```", "")
    known = {"torch": torch, "flatness": flatness}
    example = doctest.DocTestParser().get_doctest(text, known, section, None, 0)
    results = doctest.DocTestRunner().run(example, clear_globs=False)
    assert results.attempted >= 4
    assert results.failed == 0
    return example.globs


def test_tokens(root):
    page = _run(root, "Tokens")
    network, tokens = page["network"], page["tokens"]
    with pytest.raises(MeasurementError, match=r"start='embedding'"):
        flatness.measure(network, tokens)
    handle = network.embedding.register_forward_hook(lambda _m, _a, _o: embedded)
    jacobians = []
    for k, sample in enumerate(network.embedding.weight.detach()[tokens]):
        embedded = sample[None].clone().requires_grad_()
        output = network(tokens[k : k + 1])["logits"][0]
        rows = [torch.autograd.grad(f, embedded, retain_graph=True)[0].flatten() for f in output]
        jacobians.append(torch.stack(rows))
    handle.remove()
    expected = torch.linalg.svdvals(torch.stack(jacobians))
    assert np.allclose(page["measured"]["singular_value"], expected, rtol=1e-9)


class Complex(nn.Module):
    """The page's layer with a complex parameter."""

    def __init__(self, weight, head):
        super().__init__()
        self.weight, self.head = nn.Parameter(weight), head

    def forward(self, x):
        return self.head(torch.fft.irfft(torch.fft.rfft(x) * self.weight, n=6))


def test_complex_parameters(root):
    page = _run(root, "Complex parameters")
    spectral, signals = page["spectral"], page["signals"]
    measured = assert_as_dense(spectral, signals)
    before = Complex(torch.view_as_complex(spectral.weight.detach()), spectral.head).eval()
    with pytest.raises(MeasurementError, match=r"'weight' is torch\.complex128.*view_as_real"):
        flatness.measure(before, signals)
    J, K = dense_jacobians(before, signals)
    assert np.allclose(measured["singular_value"], torch.linalg.svdvals(J), rtol=1e-9)
    for name, jacobian in K.items():
        expected = jacobian.abs().square().sum((1, 2))
        found = measured["parameter_gradient_sq_norm"].sel(parameter=name)
        assert np.allclose(found, expected, rtol=1e-9), name
