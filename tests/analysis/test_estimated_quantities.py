"""Quantities of estimated primitives, and what they refuse."""

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

import flatness
from flatness.errors import MeasurementError
from flatness.glossary.estimates import PRIMITIVES_OF_ESTIMATES, QUANTITIES_OF_ESTIMATES
from flatness.glossary.quantities import QUANTITIES

NO_ESTIMATE = "needs all singular values, of which random probes give none but the largest"


def _network() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 7), nn.Tanh(), nn.Linear(7, 6))
    return nn.Sequential(*layers).double().eval()


@pytest.fixture(scope="module")
def inputs():
    return torch.randn(4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture(scope="module")
def estimated(inputs):
    return flatness.measure(_network(), inputs, probes=10, seed=7)


def test_quantities_are_means_of_the_estimates(estimated):
    found = flatness.quantities(estimated)
    assert set(found.data_vars) == {*QUANTITIES, *QUANTITIES_OF_ESTIMATES}
    assert (found.attrs["probes"], found.attrs["seed"]) == (10, 7)
    expected = {
        "sharpness": estimated["parameter_gradient_sq_norm"].sum("parameter").mean(),
        "adaptive_sharpness": estimated["parameter_adaptive_sq_norm"].sum("parameter").mean(),
        "mean_input_gradient_sq_norm": estimated["input_gradient_sq_norm"].mean(),
        "mls": estimated["input_jacobian_norm"].mean(),
        "mls_residual": estimated["input_jacobian_norm_residual"].mean(),
        "sharpness_standard_error": np.sqrt(
            np.square(estimated["total_gradient_sq_norm_standard_error"]).sum()
        )
        / 4,
        "adaptive_sharpness_standard_error": np.sqrt(
            np.square(estimated["total_adaptive_sq_norm_standard_error"]).sum()
        )
        / 4,
        "mean_input_gradient_sq_norm_standard_error": np.sqrt(
            np.square(estimated["input_gradient_sq_norm_standard_error"]).sum()
        )
        / 4,
    }
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(float(value), rel=1e-12), name
    assert "absent" not in found["mls_bound_d"].attrs
    assert found["mls_bound_d"] > 0


def test_the_attribute_says_what_is_an_estimate(estimated):
    found = flatness.quantities(estimated)
    how = "from 10 random combinations of the outputs of each sample, seed 7"
    assert found["sharpness"].attrs["estimate"] == how
    assert found["sqrt_sharpness"].attrs["estimate"] == f"{how}; its root is biased downwards"
    assert found["mls"].attrs["estimate"].startswith("lower bound by at most 30 Lanczos iterations")
    exact = {name for name, value in found.items() if "estimate" not in value.attrs}
    absent = {name for name, value in found.items() if "absent" in value.attrs}
    errors = {name for name in QUANTITIES_OF_ESTIMATES if name.endswith("_standard_error")}
    assert exact - absent == {"relative_flatness", *errors}
    for name in ("log_volume", "local_dimension", "nmls", "nvr", "layer_mls"):
        assert found[name].isnull().all()
        assert found[name].attrs["absent"] == NO_ESTIMATE
    assert found["layer_mls"].dims == ("layer",)
    for name, term in QUANTITIES_OF_ESTIMATES.items():
        assert found[name].attrs["long_name"] == term.long_name
    for name, term in PRIMITIVES_OF_ESTIMATES.items():
        assert estimated[name].attrs["long_name"] == term.long_name
        assert estimated[name].dtype == np.float64


def test_exact_primitives_have_no_standard_errors(inputs):
    found = flatness.quantities(flatness.measure(_network(), inputs))
    assert set(found.data_vars) == set(QUANTITIES)
    assert not any("estimate" in value.attrs for value in found.values())
    assert not found.attrs


def test_the_trace_of_the_hessian_has_both_errors(inputs, estimated):
    targets = torch.zeros(4, 6, dtype=torch.float64)
    curved = flatness.curvature(_network(), inputs, targets, exact_products=0)
    found = flatness.quantities(estimated.merge(curved))
    alone = flatness.quantities(flatness.measure(_network(), inputs).merge(curved))
    of_curvature = float(alone["hessian_trace_standard_error"])
    assert of_curvature > 0
    expected = np.hypot(of_curvature, float(found["sharpness_standard_error"]))
    assert float(found["hessian_trace_standard_error"]) == pytest.approx(expected)
    trace = float(found["sharpness"] + curved["residual_curvature"].mean())
    assert float(found["hessian_trace"]) == pytest.approx(trace)
    assert found["hessian_gap"] == alone["hessian_gap"]


def test_errors_of_numbers_whose_squares_are_no_numbers(estimated):
    for scale in (1e-200, 1e200):
        name = "total_gradient_sq_norm_standard_error"
        scaled = estimated.assign({name: estimated[name] * scale})
        found, plain = (flatness.quantities(each) for each in (scaled, estimated))
        expected = float(plain["sharpness_standard_error"]) * scale
        assert float(found["sharpness_standard_error"]) == pytest.approx(expected, rel=1e-12)


def test_estimates_are_kept_in_files(estimated, tmp_path):
    from flatness.storage import read_dataset, write_dataset

    write_dataset(estimated, tmp_path / "estimated.nc")
    again = flatness.quantities(read_dataset(tmp_path / "estimated.nc"))
    xr.testing.assert_identical(again, flatness.quantities(estimated))


@pytest.mark.parametrize("name", ["bounds", "sample_bounds"])
def test_inequalities_are_refused(estimated, name):
    from flatness.analysis import bounds

    with pytest.raises(MeasurementError, match="estimates, measured with probes = 10") as caught:
        getattr(bounds, name)(estimated)
    assert "\n" not in str(caught.value)
    with pytest.raises(MeasurementError, match="Allowed: the Dataset"):
        getattr(bounds, name)("nothing")


@pytest.mark.parametrize("dimension", ["parameter", "layer", "sample"])
def test_a_dimension_that_is_missing_is_named(estimated, dimension):
    with pytest.raises(MeasurementError, match=f"has no dimension '{dimension}'"):
        flatness.quantities(estimated.isel({dimension: 0}))
    with pytest.raises(MeasurementError, match="'layer_operator_norm' is missing"):
        flatness.quantities(estimated.drop_vars("layer_operator_norm"))
