"""Quantities against their definitions, sample by sample."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import flatness
from flatness.analysis import quantities as q
from flatness.glossary.quantities import QUANTITIES


def primitives(jacobians, sq_norms=None):
    """A Dataset as `measure` returns it, from Jacobians (samples, N, M)."""
    values = np.array([np.linalg.svd(J, compute_uv=False) for J in jacobians])
    sq_norms = np.ones((len(values), 2)) if sq_norms is None else sq_norms
    return xr.Dataset(
        {
            "singular_value": (("sample", "mode"), values),
            "parameter_gradient_sq_norm": (("sample", "parameter"), sq_norms),
        },
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


def test_input_gradient_norm_is_the_mean_squared_frobenius_norm(jacobians):
    expected = (jacobians**2).sum((1, 2)).mean()
    assert np.isclose(q.input_gradient_norm(primitives(jacobians)), expected, rtol=1e-12)


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
    sq_norms = np.array([[1.0, 2, 3], [10, 20, 30]])
    given = primitives(np.ones((2, 2, 3)), sq_norms)
    assert q.sharpness(given) == 33
    assert q.sqrt_sharpness(given) == np.sqrt(33)


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


def test_places_without_a_sample_do_not_count(jacobians):
    full = primitives(jacobians)
    padded = full.pad(sample=(0, 3))
    for name in QUANTITIES:
        function = getattr(q, name)
        assert np.allclose(function(padded), function(full)), name


def test_no_sample_at_all_gives_no_value(jacobians):
    empty = primitives(jacobians).isel(sample=slice(0)).pad(sample=(0, 3))
    for name in ("sharpness", "log_volume", "input_gradient_norm", "mls", "local_dimension"):
        assert np.isnan(getattr(q, name)(empty)), name


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
    both = xr.concat([one, two], "checkpoint").assign_coords(iteration=("checkpoint", [0, 5]))
    result = flatness.quantities(both)
    assert result.sizes == {"checkpoint": 2}
    assert list(result["iteration"]) == [0, 5]
    assert np.isclose(result["mls"][1], 2 * result["mls"][0])
    assert np.isclose(result["log_volume"][1], result["log_volume"][0] + 4 * np.log(2))


@pytest.mark.parametrize("module", ["flatness.analysis.quantities", "flatness.figures.trends"])
def test_analysis_and_figures_do_not_load_torch(module):
    code = f"import sys, {module}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
