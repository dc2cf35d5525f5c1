"""Networks inside of something else: checkpoints, compilers, reparametrisations, adapters."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

import flatness
from flatness.errors import MeasurementError
from tests.measurement.comparison import assert_as_dense
from tests.measurement.reference import dense_jacobians


def _mlp(first: nn.Module | None = None) -> nn.Sequential:
    return nn.Sequential(first or nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))


class Checkpointed(nn.Module):
    """A part of a network is computed again on the way back."""

    def __init__(self, call, middle=None):
        super().__init__()
        self.call = call
        self.first, self.last = nn.Linear(6, 5), nn.Linear(4, 2)
        self.inner = nn.Sequential(
            nn.Linear(5, 5), nn.Tanh(), middle or nn.Identity(), nn.Linear(5, 4)
        )

    def forward(self, x):
        return self.last(torch.tanh(self.call(self.inner, torch.tanh(self.first(x)))))


def _again(module, z):
    return checkpoint(module, z, use_reentrant=False)


def _in_parts(module, z):
    return checkpoint_sequential(module, 2, z, use_reentrant=False)


class Adapted(nn.Module):
    """W x + B A x, with a frozen W."""

    def __init__(self, inputs, outputs, rank=2):
        super().__init__()
        self.base = nn.Linear(inputs, outputs).requires_grad_(False)
        self.a = nn.Parameter(torch.randn(rank, inputs))
        self.b = nn.Parameter(torch.randn(outputs, rank))

    def forward(self, x):
        return self.base(x) + 0.5 * (x @ self.a.mT) @ self.b.mT


class Merged(Adapted):
    """(W + B A) x."""

    def forward(self, x):
        weight = self.base.weight + 0.5 * self.b @ self.a
        return nn.functional.linear(x, weight, self.base.bias)


class WithAdapters(nn.Module):
    """Adapters made of layers, as libraries make them."""

    def __init__(self):
        super().__init__()
        self.base = nn.Linear(6, 5)
        self.down, self.up = nn.Linear(6, 2, bias=False), nn.Linear(2, 5, bias=False)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


class Symmetric(nn.Module):
    """A parametrisation of one's own."""

    def forward(self, weight):
        return weight.triu() + weight.triu(1).mT


def _parametrised():
    layer = nn.Linear(6, 6)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    return nn.Sequential(layer, nn.Tanh(), nn.Linear(6, 2))


def _pruned(structured=False):
    layer = nn.Linear(6, 5)
    if structured:
        prune.ln_structured(layer, "weight", 0.4, n=2, dim=0)
    else:
        prune.l1_unstructured(layer, "weight", 0.5)
        prune.random_unstructured(layer, "bias", 0.4)
    return _mlp(layer)


def _pruned_for_good():
    model = _pruned()
    prune.remove(model[0], "weight")
    return model


def _old_weight_norm():
    with warnings.catch_warnings(action="ignore"):  # people still have it
        return _mlp(nn.utils.weight_norm(nn.Linear(6, 5)))


ROWS, IMAGES = (6,), (2, 5, 5)

WRAPPED = {
    "checkpoint": (lambda: Checkpointed(_again), ROWS),
    "checkpoint, with a normalisation": (lambda: Checkpointed(_again, nn.LayerNorm(5)), ROWS),
    "checkpoint in parts": (lambda: Checkpointed(_in_parts), ROWS),
    "checkpoint, frozen": (lambda: Checkpointed(_again).requires_grad_(False), ROWS),
    "spectral norm": (lambda: _mlp(parametrizations.spectral_norm(nn.Linear(6, 5))), ROWS),
    "spectral norm of images": (
        lambda: nn.Sequential(
            parametrizations.spectral_norm(nn.Conv2d(2, 3, 3)), nn.Flatten(), nn.LazyLinear(2)
        ),
        IMAGES,
    ),
    "spectral norm of old": (lambda: _mlp(nn.utils.spectral_norm(nn.Linear(6, 5))), ROWS),
    "weight norm": (lambda: _mlp(parametrizations.weight_norm(nn.Linear(6, 5))), ROWS),
    "weight norm of old": (_old_weight_norm, ROWS),
    "weight norm of images": (
        lambda: nn.Sequential(
            parametrizations.weight_norm(nn.Conv2d(2, 3, 3)), nn.Flatten(), nn.LazyLinear(2)
        ),
        IMAGES,
    ),
    "orthogonal": (lambda: _mlp(parametrizations.orthogonal(nn.Linear(6, 5))), ROWS),
    "an own parametrisation": (_parametrised, ROWS),
    "pruned": (_pruned, ROWS),
    "pruned by rows": (lambda: _pruned(structured=True), ROWS),
    "pruned for good": (_pruned_for_good, ROWS),
    "adapted": (lambda: _mlp(Adapted(6, 5)), ROWS),
    "adapted and merged": (lambda: _mlp(Merged(6, 5)), ROWS),
    "adapted by layers": (lambda: _mlp(WithAdapters()), ROWS),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_measured(name):
    build, shape = WRAPPED[name]
    torch.manual_seed(0)
    model, inputs = build().eval(), torch.randn(4, *shape)
    with torch.no_grad():  # lazy layers take their shape, and no hook keeps a graph
        model(inputs)
    assert_as_dense(model, inputs)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_network(backend):
    """Backends that need no compiler; the numbers are those of the network inside."""
    torch.manual_seed(0)
    model, inputs = _mlp().double().eval(), torch.randn(4, 6).double()
    J, K = dense_jacobians(model, inputs)
    torch._dynamo.reset()
    try:
        measured = flatness.measure(torch.compile(model, backend=backend).eval(), inputs)
    finally:
        torch._dynamo.reset()
    assert abs(measured["singular_value"].values - torch.linalg.svdvals(J).numpy()).max() < 1e-10
    for name, jacobian in K.items():
        found = measured["parameter_gradient_sq_norm"].sel(parameter=f"_orig_mod.{name}").values
        expected = jacobian.square().sum((1, 2)).numpy()
        assert abs(found - expected).max() <= 1e-10 * expected.max(), name


def test_checkpoints_of_the_old_kind_are_refused_in_one_line():
    """They run with backward() only, which writes into the parameters."""
    model = Checkpointed(lambda module, z: checkpoint(module, z, use_reentrant=True)).eval()
    with pytest.raises(MeasurementError, match=r"use_reentrant.*Allowed: ") as caught:
        flatness.measure(model, torch.randn(4, 6))
    assert "\n" not in str(caught.value)
