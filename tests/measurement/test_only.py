"""Only what is asked for is computed, and it is what it is with everything else."""

import numpy as np
import pytest
import torch

import flatness
from flatness.errors import MeasurementError
from flatness.measurement import chunk_terms, description
from flatness.measurement.wanted import _PARTS
from tests.measurement.architectures import network

OF_CURVATURE = {
    "hessian_trace",
    "hessian_trace_standard_error",
    "hessian_gap",
    "mean_residual_norm",
}


@pytest.fixture(scope="module", params=["mlp-tanh", "vgg10-8x8", "attention"])
def measured(request):
    model, inputs = network(request.param, torch.float64)
    return model, inputs, flatness.quantities(flatness.measure(model, inputs))


@pytest.mark.parametrize("name", _PARTS)
def test_one_quantity_alone(measured, name):
    model, inputs, everything = measured
    found = flatness.quantities(flatness.measure(model, inputs, only=[name]))
    assert list(found.data_vars) == [name]
    expected = everything[name]
    assert np.allclose(found[name], expected, rtol=1e-12, equal_nan=True)
    assert found[name].attrs == expected.attrs


def test_every_quantity_can_be_asked_for(measured):
    assert set(_PARTS) == set(measured[2].data_vars) - OF_CURVATURE


def _counted(monkeypatch, module, name):
    calls = []
    real = getattr(module, name)

    def counting(*arguments, **options):
        calls.append(name)
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, counting)
    return calls


@pytest.mark.parametrize(
    ("only", "spectra", "norms", "forms"),
    [
        (("sharpness",), 0, 0, True),
        (("mls", "log_volume"), 1, 0, False),
        (("nmls",), 3, 0, False),
        (("mls_bound_unshared",), 0, 3, False),
        (None, 3, 3, True),
    ],
)
def test_nothing_else_is_computed(monkeypatch, only, spectra, norms, forms):
    """An MLP of three layers, the first of which reads the inputs."""
    model, inputs = network("mlp-tanh", torch.float64)
    decomposed = _counted(monkeypatch, chunk_terms, "SingularValues")
    bounded = _counted(monkeypatch, description, "operator_norm")
    flatness.measure(model, inputs, only=only)
    assert len(decomposed) == spectra
    assert len(bounded) == norms
    measured = flatness.measure(model, inputs, only=only)
    assert ("parameter_gradient_sq_norm" in measured) == forms


@pytest.mark.parametrize(
    ("only", "message"),
    [
        (("sharp",), r"only: 'sharp' is no quantity .* Allowed: sharpness, "),
        (("input_gradient_norm",), r"Did you mean 'mean_input_gradient_sq_norm'\?"),
        ((1,), r"only: 1 is no quantity"),
        (("hessian_trace",), r"measured by flatness\.curvature"),
        ("mls", r"Write only=\('mls',\)"),
        ((), r"only = \(\)"),
    ],
)
def test_refused(only, message):
    with pytest.raises(MeasurementError, match=message):
        flatness.measure(*network("mlp-tanh", torch.float64), only=only)


def test_what_an_earlier_version_was_asked_for():
    """The names of then are in the attribute of a Dataset that somebody kept."""
    measured = flatness.measure(
        *network("mlp-tanh", torch.float64), only=("mean_input_gradient_sq_norm",)
    )
    expected = flatness.quantities(measured)
    found = flatness.quantities(measured.assign_attrs(only='["input_gradient_norm"]'))
    assert list(found) == ["mean_input_gradient_sq_norm"]
    assert found.identical(expected)


def test_inequalities_need_everything():
    measured = flatness.measure(*network("mlp-tanh", torch.float64), only=("mls", "sharpness"))
    with pytest.raises(MeasurementError, match="measured with only = mls, sharpness"):
        flatness.bounds(measured)


def test_too_many_outputs():
    model = torch.nn.Linear(3, 2000).eval()
    with pytest.raises(MeasurementError, match=r"2000 outputs, whose Gram matrix takes 0\.0 GiB"):
        flatness.measure(model, torch.ones(2, 3), memory_gib=0.01)
