"""Quantities against their definitions, sample by sample."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import xarray as xr

import flatness
from flatness.analysis import quantities as q
from flatness.glossary.quantities import QUANTITIES


def primitives(jacobians, sq_norms=None):
    """A Dataset as `measure` and `curvature` return it, from Jacobians (samples, N, M).

    The first of two parameters is the weight of the first layer, which reads the inputs, the other
    that of the second and last one.
    """
    values = np.array([np.linalg.svd(J, compute_uv=False) for J in jacobians])
    sq_norms = np.ones((len(values), 2)) if sq_norms is None else sq_norms
    draw = np.random.default_rng(1)
    by_layer = {
        name: (("sample", "layer"), draw.uniform(1, 2, (len(values), 2)))
        for name in (
            "layer_input_norm",
            "layer_sensitivity",
            "layer_output_gradient_sq_norm",
            "layer_log_volume",
        )
    }
    by_sample = {
        name: ("sample", draw.uniform(1, 2, len(values)))
        for name in (
            "input_norm",
            "residual_curvature",
            "residual_curvature_standard_error",
            "residual_norm",
            "input_times_gradient_sq_norm",
        )
    }
    return xr.Dataset(
        {
            "singular_value": (("sample", "mode"), values),
            "parameter_gradient_sq_norm": (("sample", "parameter"), sq_norms),
            "parameter_adaptive_sq_norm": (("sample", "parameter"), 2 * sq_norms),
            "input_weight_spectral_norm": ((), 2.0, {"input_weight": "W"}),
            "input_weight_frobenius_norm": ((), 3.0, {"input_weight": "W"}),
            "layer_operator_norm": (
                "layer",
                [2.0, 5.0],
                {"input_layer": "first", "left_out": "[]"},
            ),
            "layer_eq4_holds": ("layer", [1, 1]),
            "layer_weight_frobenius_norm": ("layer", [3.0, 6.0], {"output_layer": "second"}),
            "layer_outputs": ("layer", [7, 4]),
        }
        | by_layer
        | by_sample,
        coords={"parameter": ["W", "second.weight"], "layer": ["first", "second"]},
        attrs={"dtype": "float64"},
    )


@pytest.fixture
def jacobians():
    return np.random.default_rng(0).normal(size=(6, 4, 9)) * np.logspace(-3, 2, 6)[:, None, None]


def test_log_volume_is_half_the_log_determinant(jacobians):
    expected = np.mean([0.5 * np.linalg.slogdet(J @ J.T)[1] for J in jacobians])
    assert np.isclose(q.log_volume(primitives(jacobians)), expected, rtol=1e-12)


def test_log_volume_top3_leaves_out_the_smallest(jacobians):
    expected = np.mean(
        [np.log(np.sort(np.linalg.eigvalsh(J @ J.T))[-3:]).sum() / 2 for J in jacobians]
    )
    assert np.isclose(q.log_volume_top3(primitives(jacobians)), expected, rtol=1e-10)


def with_last_layer(jacobians, eq4_holds=(1, 1)):
    """Primitives of a network with the layers "first" and "second", weights 1 and biases 10."""
    found = primitives(jacobians).drop_dims("parameter")
    names = ["first.weight", "first.bias", "second.weight", "second.bias"]
    found = found.assign_coords(parameter=names)
    found["parameter_gradient_sq_norm"] = (
        ("sample", "parameter"),
        np.arange(len(jacobians))[:, None] + [1.0, 10.0, 100.0, 1000.0],
    )
    found["layer_eq4_holds"] = ("layer", list(eq4_holds))
    return found


def test_the_last_layer_is_left_out_of_the_sharpness(jacobians):
    found = with_last_layer(jacobians)
    # 1 + 10 and twice the sample's position, 0 to 5.
    assert q.sharpness_before_last_layer(found) == 11 + 2 * 2.5
    assert q.sqrt_sharpness_before_last_layer(found) == np.sqrt(16)
    assert q.sharpness(found) == 1111 + 4 * 2.5
    found["parameter_gradient_sq_norm"][3] = np.nan  # no sample at this place
    assert q.sharpness_before_last_layer(found) == 11 + 2 * (0 + 1 + 2 + 4 + 5) / 5


def test_a_single_linear_layer_has_nothing_before_it():
    found = flatness.measure(torch.nn.Linear(5, 3).eval(), torch.ones(4, 5))
    assert q.sharpness_before_last_layer(found) == 0


def test_the_share_before_the_last_layer_is_that_of_autograd():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)
    ).eval()
    inputs = torch.randn(5, 6)
    total = 0
    for x in inputs:
        for output in model(x[None])[0]:
            gradients = torch.autograd.grad(output, model[0].parameters(), retain_graph=True)
            total += sum(float((g**2).sum()) for g in gradients)
    found = q.sharpness_before_last_layer(flatness.measure(model, inputs))
    assert np.isclose(found, total / 5, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"eq4_holds": (1, 0)}, "the last layer is not a linear one with a weight of its own"),
        ({}, "the last layer's weight has another name"),
    ],
)
def test_without_a_last_linear_layer_there_is_no_such_share(jacobians, change, reason):
    found = with_last_layer(jacobians, **change)
    if not change:
        found = found.assign_coords(parameter=["a", "b", "c", "d"])
    for function in (q.sharpness_before_last_layer, q.sqrt_sharpness_before_last_layer):
        assert np.isnan(function(found))
        assert function(found).attrs["absent"] == reason


def test_mean_input_gradient_sq_norm_is_the_mean_squared_frobenius_norm(jacobians):
    expected = (jacobians**2).sum((1, 2)).mean()
    assert np.isclose(q.mean_input_gradient_sq_norm(primitives(jacobians)), expected, rtol=1e-12)


def test_mls_is_the_mean_spectral_norm(jacobians):
    expected = np.mean([np.linalg.norm(J, 2) for J in jacobians])
    assert np.isclose(q.mls(primitives(jacobians)), expected, rtol=1e-12)


def test_local_dimension_is_the_participation_ratio_of_the_covariance(jacobians):
    covariances = [J @ J.T for J in jacobians]
    expected = np.mean([np.trace(C) ** 2 / np.trace(C @ C) for C in covariances])
    assert np.isclose(q.local_dimension(primitives(jacobians)), expected, rtol=1e-12)


def test_local_dimension_does_not_depend_on_scale(jacobians):
    expected = q.local_dimension(primitives(jacobians))
    for scale in (1e-120, 1e120):
        assert np.isclose(q.local_dimension(primitives(jacobians * scale)), expected, rtol=1e-12)


def test_local_dimension_lies_between_one_and_n():
    equal, rank_one = np.eye(3, 5)[None], np.outer([1, 2, 3], np.ones(5))[None]
    assert np.isclose(q.local_dimension(primitives(equal)), 3)
    assert np.isclose(q.local_dimension(primitives(rank_one)), 1)


def test_sharpness_is_the_mean_of_summed_squares():
    sq_norms = np.array([[1.0, 5], [10, 50]])
    given = primitives(np.ones((2, 2, 3)), sq_norms)
    assert q.sharpness(given) == 33
    assert q.sqrt_sharpness(given) == np.sqrt(33)


def test_log_mean_volume_is_the_logarithm_of_the_mean(jacobians):
    volumes = [np.prod(np.linalg.svd(J, compute_uv=False)) for J in jacobians]
    expected = np.log(np.mean(volumes))
    assert np.isclose(q.log_mean_volume(primitives(jacobians)), expected, rtol=1e-12)
    # exp(-4 * 400 log 10) is no float64.
    tiny = q.log_mean_volume(primitives(jacobians * 1e-200))
    assert np.isclose(tiny, expected - 4 * 200 * np.log(10), rtol=1e-12)
    assert q.log_mean_volume(primitives(np.zeros((2, 3, 4)))) == -np.inf


def test_bounds_of_the_mls_are_those_of_eq_28(jacobians):
    sq_norms = np.random.default_rng(2).uniform(1, 5, (6, 2))
    given = primitives(jacobians, sq_norms)
    x, K = given["input_norm"].to_numpy(), np.sqrt(sq_norms[:, 0])
    b = 2 * np.mean(K / x)
    c = 2 * np.sqrt(np.mean(1 / x**2)) * np.sqrt(np.mean(K**2))
    d = 2 * np.sqrt(np.mean(1 / x**2)) * np.sqrt(sq_norms.sum(1).mean())
    assert np.isclose(q.mls_bound_b(given), b, rtol=1e-12)
    assert np.isclose(q.mls_bound_c(given), c, rtol=1e-12)
    assert np.isclose(q.mls_bound_d(given), d, rtol=1e-12)
    gradients = given["layer_output_gradient_sq_norm"].to_numpy()[:, 0]
    assert np.isclose(q.mls_bound_unshared(given), 2 * np.sqrt(gradients).mean(), rtol=1e-12)


def test_nmls_is_the_sum_of_the_layers_means(jacobians):
    given = primitives(jacobians)
    terms = given["layer_sensitivity"].to_numpy()
    assert np.allclose(q.layer_mls(given), terms.mean(0), rtol=1e-12)
    assert np.isclose(q.nmls(given), terms.sum(1).mean(), rtol=1e-12)


def test_later_quantities_are_means_of_their_primitives(jacobians):
    given = primitives(jacobians, np.random.default_rng(2).uniform(1, 5, (6, 2)))
    expected = given["parameter_adaptive_sq_norm"].to_numpy().sum(1).mean()
    assert np.isclose(q.adaptive_sharpness(given), expected, rtol=1e-12)
    assert np.isclose(q.sqrt_adaptive_sharpness(given), np.sqrt(expected), rtol=1e-12)
    terms = given["layer_log_volume"].to_numpy()
    assert np.allclose(q.layer_mean_log_volume(given), terms.mean(0), rtol=1e-12)
    assert np.isclose(q.nvr(given), terms.sum(1).mean(), rtol=1e-12)
    h = given["layer_input_norm"].to_numpy()[:, 1]
    assert np.isclose(q.relative_flatness(given), 36 * (h**2).mean(), rtol=1e-12)


def test_the_hessian_trace_is_the_sharpness_and_the_mean_curvature(jacobians):
    given = primitives(jacobians)
    rho, error = given["residual_curvature"], given["residual_curvature_standard_error"]
    assert np.isclose(q.hessian_trace(given), 2 + rho.to_numpy().mean(), rtol=1e-12)
    assert np.isclose(q.hessian_gap(given), abs(rho.to_numpy().mean()), rtol=1e-12)
    expected = np.sqrt((error.to_numpy() ** 2).sum()) / 6
    assert np.isclose(q.hessian_trace_standard_error(given), expected, rtol=1e-12)
    assert np.isclose(q.mean_residual_norm(given), given["residual_norm"].to_numpy().mean())


def test_what_does_not_apply_says_why(jacobians):
    given = primitives(jacobians)
    for name in ("input_weight_spectral_norm", "layer_operator_norm"):
        given[name].attrs = {"absent": f"no {name}", "left_out": '["odd"]'}
    found = flatness.quantities(
        given.drop_vars([name for name in given.variables if name.startswith("residual")])
    )
    for name, reason in {
        "mls_bound_b": "no input_weight_spectral_norm",
        "mls_bound_c": "no input_weight_spectral_norm",
        "mls_bound_d": "no input_weight_spectral_norm",
        "mls_bound_unshared": "no layer_operator_norm",
        "nmls": "layers that have no term of their own: odd",
        "nvr": "layers that have no term of their own: odd",
        "hessian_trace": "curvature was not measured; see flatness.curvature",
        "hessian_trace_standard_error": "curvature was not measured; see flatness.curvature",
        "hessian_gap": "curvature was not measured; see flatness.curvature",
        "mean_residual_norm": "curvature was not measured; see flatness.curvature",
    }.items():
        assert np.isnan(found[name]), name
        assert found[name].attrs["absent"] == reason
    empty = primitives(jacobians).isel(layer=slice(0))
    for function in (q.nmls, q.nvr):
        assert "no linear layer or convolution" in function(empty).attrs["absent"]


def test_an_input_of_norm_zero_has_no_bound(jacobians):
    given = primitives(jacobians)
    given["input_norm"][0] = 0
    given["parameter_gradient_sq_norm"][0, 0] = 0
    for name in ("mls_bound_b", "mls_bound_c", "mls_bound_d"):
        assert getattr(q, name)(given) == np.inf, name


def test_zero_singular_values_are_counted_and_not_hidden():
    jacobians = np.stack([np.eye(3, 5), np.diag([1.0, 1, 0]) @ np.eye(3, 5)])
    given = primitives(jacobians)
    assert q.log_volume(given) == -np.inf
    assert q.zero_singular_values(given) == 1
    assert q.unresolved_singular_values(given) == 0


def test_unresolved_singular_values_are_counted_for_the_dtype():
    given = primitives(np.diag([1.0, 1e-5, 1e-9])[None] @ np.eye(3, 5))
    assert q.unresolved_singular_values(given) == 0
    given.attrs["dtype"] = "float32"
    assert q.unresolved_singular_values(given) == 1
    assert np.isfinite(q.log_volume(given))


def _with_empty_places(given):
    nothing = {name: np.nan for name, variable in given.items() if "sample" in variable.dims}
    return given.pad(sample=(0, 3), constant_values=nothing)


def test_places_without_a_sample_do_not_count(jacobians):
    full = primitives(jacobians)
    padded = _with_empty_places(full)
    for name in QUANTITIES:
        function = getattr(q, name)
        assert np.allclose(function(padded), function(full)), name


def test_no_sample_at_all_gives_no_value(jacobians):
    empty = _with_empty_places(primitives(jacobians).isel(sample=slice(0)))
    for name in set(QUANTITIES) - {"zero_singular_values", "unresolved_singular_values"}:
        assert np.isnan(getattr(q, name)(empty)).all(), name


def test_local_dimension_of_a_zero_jacobian_is_not_a_number():
    given = primitives(np.stack([np.eye(3, 5), np.zeros((3, 5))]))
    assert np.isnan(q.local_dimension(given))


def test_all_quantities_carry_their_glossary_entry(jacobians):
    result = flatness.quantities(primitives(jacobians))
    assert set(result) == set(QUANTITIES)
    for name, term in QUANTITIES.items():
        attributes = result[name].attrs
        assert attributes["long_name"] == term.long_name
        assert attributes["formula"] == term.formula
        assert attributes["units"] == term.units
        assert attributes.get("equation", "") == term.equation


def test_other_dimensions_stay(jacobians):
    one, two = primitives(jacobians), primitives(2 * jacobians)
    both = xr.concat([one, two], "checkpoint", data_vars="all").assign_coords(
        iteration=("checkpoint", [0, 5])
    )
    result = flatness.quantities(both)
    assert result.sizes == {"checkpoint": 2, "layer": 2}
    assert list(result["iteration"]) == [0, 5]
    assert np.isclose(result["mls"][1], 2 * result["mls"][0])
    assert np.isclose(result["log_volume"][1], result["log_volume"][0] + 4 * np.log(2))


@pytest.mark.parametrize("module", ["flatness.analysis.quantities", "flatness.figures.trends"])
def test_analysis_and_figures_do_not_load_torch(module):
    code = f"import sys, {module}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
