"""A choice that drops a dimension is refused in one line; one that keeps it is not."""

import numpy as np
import pytest
import torch
from torch import nn

import flatness
from flatness.errors import MeasurementError


@pytest.fixture(scope="module")
def primitives():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)).double().eval()
    return flatness.measure(model, torch.randn(4, 6).double())


@pytest.mark.parametrize("call", [flatness.quantities, flatness.bounds])
@pytest.mark.parametrize("dimension", ["sample", "mode", "parameter", "layer"])
def test_one_position_of_a_dimension(primitives, dimension, call):
    with pytest.raises(
        MeasurementError,
        match=rf"^primitives: '\w+' has no dimension '{dimension}'.*Allowed: .*"
        rf"\.isel\({dimension}=\[0\]\)",
    ) as caught:
        call(primitives.isel({dimension: 0}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("call", [flatness.quantities, flatness.bounds])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.mean("sample"), "has no dimension 'sample'"),
        (lambda p: p.rename(sample="image"), "has no dimension 'sample'"),
        (lambda p: p.isel(sample=[]), "hold no sample"),
        (lambda p: p["singular_value"], "a DataArray"),
        (lambda p: p["singular_value"].values, "a ndarray"),
        (lambda p: None, "a NoneType"),
        (lambda p: p.drop_vars("input_norm"), "'input_norm' is missing"),
    ],
)
def test_what_are_no_primitives(primitives, change, message, call):
    with pytest.raises(MeasurementError, match=f"^primitives: .*{message}.*Allowed: "):
        call(change(primitives))


def test_the_advice_works(primitives):
    """One sample chosen with a list has the quantities of that sample."""
    one = flatness.quantities(primitives.isel(sample=[2]))
    assert np.isclose(one["mls"], primitives["singular_value"][2, 0])
    assert np.isclose(one["sharpness"], primitives["parameter_gradient_sq_norm"][2].sum())
