"""Quantities of primitives that were estimated with random probes.

Exact primitives have none of the standard errors here. What needs all singular values has no
estimate.
"""

import numpy as np
import xarray as xr

from flatness.analysis.means import mean

NO_ESTIMATE = "needs all singular values, of which random probes give none but the largest"
# By name, as quantities are.
WITHOUT_ESTIMATE = frozenset(
    {
        "log_volume",
        "log_volume_top3",
        "log_mean_volume",
        "local_dimension",
        "layer_mls",
        "nmls",
        "layer_mean_log_volume",
        "nvr",
        "zero_singular_values",
        "unresolved_singular_values",
    }
)
_BY_LAYER = ("layer_mls", "layer_mean_log_volume")
# What is exact although other primitives are estimates.
_EXACT = frozenset({"relative_flatness", "hessian_gap", "mean_residual_norm"})


def is_estimate(primitives: xr.Dataset) -> bool:
    """Whether primitives were measured with `probes`."""
    return "probes" in getattr(primitives, "attrs", {})


def without_estimate(primitives: xr.Dataset, name: str) -> xr.DataArray:
    """NaN in the place of a quantity that has no estimate, with the reason."""
    like = primitives["layer_input_norm" if name in _BY_LAYER else "input_norm"]
    return (mean(like) * np.nan).drop_attrs().assign_attrs(absent=NO_ESTIMATE)


def how_estimated(primitives: xr.Dataset, name: str) -> dict[str, str]:
    """The attribute `estimate` of a quantity; empty where it is none."""
    if name in _EXACT or name.endswith("_standard_error") or not is_estimate(primitives):
        return {}
    if name in ("mls", "mls_residual"):
        about = primitives["input_jacobian_norm"].attrs
        return {key: about[key] for key in ("estimate",) if key in about}
    probes, seed = (int(primitives.attrs[key]) for key in ("probes", "seed"))
    how = f"from {probes} random combinations of the outputs of each sample, seed {seed}"
    return {"estimate": f"{how}; its root is biased downwards" if _is_root(name) else how}


def _is_root(name: str) -> bool:
    return name.startswith(("sqrt_", "mls_bound_"))


def sharpness_standard_error(primitives: xr.Dataset) -> xr.DataArray:
    """Standard error of the estimated sharpness, for these samples."""
    return _of_mean(primitives["total_gradient_sq_norm_standard_error"])


def adaptive_sharpness_standard_error(primitives: xr.Dataset) -> xr.DataArray:
    """Standard error of the estimated adaptive sharpness, for these samples."""
    return _of_mean(primitives["total_adaptive_sq_norm_standard_error"])


def mean_input_gradient_sq_norm_standard_error(primitives: xr.Dataset) -> xr.DataArray:
    """Standard error of the estimated squared input-gradient norm, for these samples."""
    return _of_mean(primitives["input_gradient_sq_norm_standard_error"])


def mls_residual(primitives: xr.Dataset) -> xr.DataArray:
    """Mean over samples of the residual of sigma_1 (Eq. 13)."""
    residuals = primitives["input_jacobian_norm_residual"]
    reasons = {key: text for key, text in residuals.attrs.items() if key == "absent"}
    return mean(residuals).drop_attrs().assign_attrs(reasons)


def _of_mean(errors: xr.DataArray) -> xr.DataArray:
    """Samples have probes of their own, so that variances add."""
    # Relative to the largest, so that squares neither vanish nor overflow.
    scale = errors.max("sample")
    scale = scale.where(scale > 0, 1.0)
    return np.sqrt(mean(np.square(errors / scale)) / errors.notnull().sum("sample")) * scale
