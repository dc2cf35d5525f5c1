"""Both sides of every inequality, and the check that each of them holds.

All products and powers are taken in logarithms. docs/inequalities.md gives both sides of each by
its name, the networks that it applies to, and the proofs of those that are not in the paper. What
does not apply is NaN, with the reason.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

import numpy as np
import xarray as xr

from flatness.analysis.absent import not_measured
from flatness.analysis.estimates import is_estimate
from flatness.analysis.means import log_mean_exp, mean
from flatness.analysis.quantities import asked_for, quantities
from flatness.analysis.rounding import log10_rounding
from flatness.analysis.sensitivity import input_weight_gradient_sq_norm
from flatness.errors import BoundError, MeasurementError
from flatness.glossary import annotate
from flatness.glossary.primitives import PRIMITIVES
from flatness.glossary.quantities import ANALYSIS

_TERMS = PRIMITIVES | ANALYSIS


@dataclass(frozen=True)
class _Inequality:
    """Two sides in log10, and the power to which measured norms enter them."""

    left: xr.DataArray
    right: xr.DataArray
    power: float = 1
    absent: str | None = None


def sample_bounds(primitives: xr.Dataset) -> xr.Dataset:
    """The inequalities that hold for every sample, for every sample.

    Returns:
        log10_left, log10_right and slack = log10(right / left), with the dimension
        inequality before those of the primitives.
    """
    _refuse_parts(primitives)
    return _together(_of_samples(_Logarithms(primitives, quantities(primitives))), primitives)


def bounds(
    primitives: xr.Dataset,
    powers: Sequence[float] = (1, 2),
    *,
    known: xr.Dataset | None = None,
) -> xr.Dataset:
    """Both sides and the slack of every inequality (Eq. 5, 6, 7, 11, 12, 13, 28).

    Of an inequality that holds for every sample the sample with the least slack is given.

    Args:
        primitives: from `flatness.measure` or a run's netCDF file.
        powers: the k of Eq. 6 and 7, each at least 1.
        known: the `quantities` of these primitives, where they are at hand.

    Raises:
        MeasurementError: a power below 1; primitives of some quantities alone, or estimates.

    Returns:
        log10_left, log10_right, slack = log10(right / left) and tightest_sample, with the
        dimension inequality and those of the primitives but for sample. The slack is NaN
        where an inequality does not apply (the attribute `absent` of `slack` gives the
        reasons, as JSON), and infinite where the left side is zero or the right side
        infinite.
    """
    for power in powers:
        if not 1 <= power < np.inf:
            raise MeasurementError(
                f"powers: {power:g}. Allowed: finite numbers of 1 or more. Correct it."
            )
    _refuse_parts(primitives)
    logarithms = _Logarithms(primitives, quantities(primitives) if known is None else known)
    tightest = {name: _tightest(one) for name, one in _of_samples(logarithms).items()}
    inequalities = {name: one for name, (one, _) in tightest.items()}
    inequalities |= _between_means(logarithms, powers)
    result = _together(inequalities, primitives)
    none = xr.full_like(result["slack"].isel(inequality=0, drop=True), -1, dtype=int)
    positions = [tightest[name][1] if name in tightest else none for name in inequalities]
    result["tightest_sample"] = xr.concat(positions, result["inequality"])
    return annotate(result, _TERMS)


def _refuse_parts(primitives: xr.Dataset) -> None:
    """The inequalities are made of everything that is measured."""
    if only := asked_for(primitives):
        raise MeasurementError(
            f"primitives: measured with only = {', '.join(only)}. Allowed: primitives of all "
            "quantities. Measure without `only`."
        )
    if is_estimate(primitives):
        raise MeasurementError(
            f"primitives: estimates, measured with probes = {primitives.attrs['probes']}. Allowed: "
            "exact primitives, as noise would violate inequalities. Measure without `probes`."
        )


def check(found: xr.Dataset, run: str) -> None:
    """Refuse results that contradict a theorem by more than rounding.

    Args:
        found: from `bounds`, with the coordinates iteration and sample_set where it has
            checkpoints and sample sets.
        run: named in the message.

    Raises:
        BoundError: the inequality that is violated most, with run, checkpoint, sample and
            both values.
    """
    slack = found["slack"]
    excess = slack + xr.DataArray(json.loads(slack.attrs["rounding"]), dims="inequality")
    if not (excess < 0).any():
        return
    worst = found.isel(excess.fillna(np.inf).argmin(excess.dims))
    where = [f"inequality {worst['inequality'].item()}"]
    if "iteration" in worst.coords:
        where.append(f"iteration {worst['iteration'].item()}")
    if "sample_set" in worst.coords:
        where.append(f"sample set {worst['sample_set'].item()}")
    if worst["tightest_sample"] >= 0:
        where.append(f"sample {worst['tightest_sample'].item()}")
    left, right = (10 ** float(worst[side]) for side in ("log10_left", "log10_right"))
    raise BoundError(
        f"{run}: {', '.join(where)}: the left side is {left:.9g} (log10 "
        f"{float(worst['log10_left']):.9g}) and the right side {right:.9g} (log10 "
        f"{float(worst['log10_right']):.9g}). Allowed: left at most right, to rounding. This "
        "contradicts a theorem, so a stored number is wrong: measure this run again, and report "
        "it with its netCDF file if it stays."
    )


class _Logarithms:
    """The norms that the inequalities are made of, in log10."""

    def __init__(self, primitives: xr.Dataset, quantities: xr.Dataset):
        self.primitives = primitives
        self.quantities = quantities
        values = primitives["singular_value"]
        self.outputs = primitives.sizes["mode"]
        self.samples = values.isel(mode=0).notnull().sum("sample")
        self.volume = _log(values).sum("mode", skipna=False)
        self.frobenius = _log(np.square(values).sum("mode", skipna=False)) / 2
        self.spectral = _log(values.isel(mode=0))
        sq_norms = primitives["parameter_gradient_sq_norm"].sum("parameter", skipna=False)
        self.parameters = _log(sq_norms) / 2
        self.input = _log(primitives["input_norm"])
        self.smallest_input = self.input.min("sample", skipna=True)
        weight = primitives["input_weight_spectral_norm"]
        self.no_weight = weight.attrs.get("absent")
        self.weight_spectral = _log(weight)
        self.weight_frobenius = _log(primitives["input_weight_frobenius_norm"])
        self.weight_gradient = (
            xr.full_like(self.parameters, np.nan)
            if self.no_weight
            else _log(input_weight_gradient_sq_norm(primitives)) / 2
        )
        self._take_relative()

    def _take_relative(self) -> None:
        """What `adaptive` is made of: norms of J diag(x) and K^W o W, and sqrt(H)."""
        primitives = self.primitives
        names = ("input_times_gradient_sq_norm", "parameter_adaptive_sq_norm", "layer_outputs")
        self.no_relative = self.no_weight or not_measured(primitives, *names)
        unknown = xr.full_like(self.frobenius, np.nan)
        self.relative = self.relative_weight = self.root_of_terms = unknown
        if self.no_relative:
            return
        weight = primitives["input_weight_spectral_norm"].attrs["input_weight"]
        # Where the network is one linear layer, that layer's name is empty.
        layer = primitives["layer_operator_norm"].attrs.get("input_layer", "")
        of_weight = primitives["parameter_adaptive_sq_norm"].sel(parameter=weight, drop=True)
        self.relative = _log(primitives["input_times_gradient_sq_norm"]) / 2
        self.relative_weight = _log(of_weight) / 2
        self.root_of_terms = _log(primitives["layer_outputs"].sel(layer=layer, drop=True)) / 2

    def quantity(self, name: str) -> xr.DataArray:
        return _log(self.quantities[name])


def _of_samples(of: _Logarithms) -> dict[str, _Inequality]:
    N = of.outputs
    weight_gradient = _unless_zero(of.input, of.weight_gradient - of.input)
    norms = of.primitives["layer_operator_norm"]
    no_layer = norms.attrs.get("absent")
    unshared = xr.full_like(of.frobenius, np.nan)
    if not no_layer:
        gradients = of.primitives["layer_output_gradient_sq_norm"]
        first = {"layer": norms.attrs["input_layer"]}
        unshared = _log(norms.sel(first, drop=True)) + _log(gradients.sel(first, drop=True)) / 2
    return {
        "eq5_frobenius": _Inequality(
            of.frobenius, of.weight_frobenius + weight_gradient, absent=of.no_weight
        ),
        "eq5_spectral": _Inequality(
            of.spectral, of.weight_spectral + weight_gradient, absent=of.no_weight
        ),
        "eq11": _Inequality(of.volume, N * of.frobenius - N / 2 * log10(N), N),
        "volume": _Inequality(
            of.volume,
            N * (of.weight_spectral + weight_gradient) - N / 2 * log10(N),
            N,
            of.no_weight,
        ),
        "unshared_frobenius": _Inequality(of.frobenius, unshared, absent=no_layer),
        "adaptive": _Inequality(
            of.relative, of.root_of_terms + of.relative_weight, absent=of.no_relative
        ),
    }


def _between_means(of: _Logarithms, powers: Sequence[float]) -> dict[str, _Inequality]:
    N = of.outputs
    found = {}
    for equation, jacobian, weight in (
        ("eq6", of.frobenius, of.weight_frobenius),
        ("eq7", of.spectral, of.weight_spectral),
    ):
        for k in powers:
            front = _unless_zero(of.smallest_input, k * (weight - of.smallest_input))
            sides = [
                _mean_power(jacobian, k),
                front + _mean_power(of.weight_gradient, k),
                front + _mean_power(of.parameters, k),
            ]
            name = f"{equation}_k{k:g}"
            found[f"{name}_input"] = _Inequality(sides[0], sides[1], k, of.no_weight)
            found[f"{name}_all"] = _Inequality(sides[1], sides[2], k, of.no_weight)

    middle = _mean_power(of.frobenius, N) - N / 2 * log10(N)
    front = _unless_zero(of.smallest_input, N * (of.weight_frobenius - of.smallest_input))
    right = (
        max(N / 2 - 1, 0) * np.log10(of.samples.where(of.samples > 0))
        + front
        + N / 2 * (of.quantity("sharpness") - log10(N))
    )
    found["eq12_frobenius"] = _Inequality(of.quantities["log_mean_volume"] / np.log(10), middle, N)
    found["eq12_sharpness"] = _Inequality(middle, right, N, of.no_weight)

    a, b, c, d, u = (
        of.quantity(name)
        for name in ("mls", "mls_bound_b", "mls_bound_c", "mls_bound_d", "mls_bound_unshared")
    )
    for name, left, right in (("a_b", a, b), ("b_c", b, c), ("c_d", c, d), ("eq13", a, d)):
        found[name] = _Inequality(left, right, absent=of.no_weight)
    return found | _volume(of) | _unshared(of, a, u) | _network_wide(of) | _relative(of)


def _volume(of: _Logarithms) -> dict[str, _Inequality]:
    N = of.outputs
    front = N * of.weight_spectral - N / 2 * log10(N)
    together = _mean_power(of.weight_gradient - of.input, N)
    apart = _mean_power(-of.input, 2 * N) / 2 + _mean_power(of.weight_gradient, 2 * N) / 2
    # One input of norm zero makes both of them infinite.
    middle, right = (front + _unless_zero(of.smallest_input, each) for each in (together, apart))
    return {
        "volume_mean": _Inequality(
            of.quantities["log_mean_volume"] / np.log(10), middle, N, of.no_weight
        ),
        "volume_schwarz": _Inequality(middle, right, N, of.no_weight),
    }


def _relative(of: _Logarithms) -> dict[str, _Inequality]:
    front, absent = of.root_of_terms, of.no_relative
    left, middle = (_mean_power(each, 2) / 2 for each in (of.relative, front + of.relative_weight))
    right = middle  # NaN, where it is absent
    if absent is None:
        right = front + of.quantity("sqrt_adaptive_sharpness")
    return {
        "adaptive_input": _Inequality(left, middle, absent=absent),
        "adaptive_all": _Inequality(middle, right, absent=absent),
    }


def _unshared(of: _Logarithms, a: xr.DataArray, u: xr.DataArray) -> dict[str, _Inequality]:
    norms = of.primitives["layer_operator_norm"]
    absent = norms.attrs.get("absent")
    v = u
    if not absent:
        first = {"layer": norms.attrs["input_layer"]}
        gradients = of.primitives["layer_output_gradient_sq_norm"].sel(first, drop=True)
        v = _log(norms.sel(first, drop=True)) + _log(mean(gradients)) / 2
    return {
        "unshared_a_u": _Inequality(a, u, absent=absent),
        "unshared_u_v": _Inequality(u, v, absent=absent),
    }


def _network_wide(of: _Logarithms) -> dict[str, _Inequality]:
    primitives = of.primitives
    norms = np.square(primitives["layer_operator_norm"])
    absent = of.quantities["nmls"].attrs.get("absent")
    holds = primitives["layer_eq4_holds"].astype(bool)
    every = holds.all()
    reason = absent or (None if every else f"Eq. 4 does not hold for layers {_false_names(holds)}")
    with np.errstate(divide="ignore"):
        quotients = (norms / np.square(primitives["layer_input_norm"])).sum("layer", skipna=False)
    gradients = primitives["layer_output_gradient_sq_norm"].sum("layer", skipna=False)
    left = of.quantity("nmls")
    right = _log(mean(quotients)) / 2 + of.quantity("sharpness") / 2
    unshared = _log(norms.sum("layer", skipna=False)) / 2 + _log(mean(gradients)) / 2
    return {
        "nmls": _Inequality(left, right.where(every), absent=reason),
        "nmls_unshared": _Inequality(left, unshared, absent=absent),
    }


def _false_names(holds: xr.DataArray) -> str:
    others = [dim for dim in holds.dims if dim != "layer"]
    names = holds["layer"].where(~holds.all(others), drop=True)
    return ", ".join(str(name) for name in names.values)


def _tightest(one: _Inequality) -> tuple[_Inequality, xr.DataArray]:
    """An inequality at the sample with the least slack, and that sample's position, or -1."""
    slack = _slack(one.left, one.right)
    position = slack.fillna(np.inf).argmin("sample")
    left, right = (
        side.broadcast_like(slack).isel(sample=position) for side in (one.left, one.right)
    )
    known = slack.notnull().any("sample")
    return _Inequality(left, right, one.power, one.absent), position.where(known, -1).astype(int)


def _together(inequalities: dict[str, _Inequality], primitives: xr.Dataset) -> xr.Dataset:
    names = xr.DataArray(np.array(list(inequalities), dtype=object), dims="inequality")
    first = next(iter(inequalities.values()))
    full = first.right - first.left
    sides = {
        "log10_left": [one.left for one in inequalities.values()],
        "log10_right": [one.right for one in inequalities.values()],
    }
    result = xr.Dataset(
        {
            name: xr.concat(
                [value.broadcast_like(full).drop_vars(value.coords) for value in values],
                "inequality",
                coords="minimal",
                compat="override",
            )
            for name, values in sides.items()
        }
    ).assign_coords(inequality=names)
    result["slack"] = _slack(result["log10_left"], result["log10_right"])
    rounding = log10_rounding(primitives.attrs["dtype"])  # of the k-th power, k times as much
    result["slack"].attrs = {
        "absent": json.dumps({n: one.absent for n, one in inequalities.items() if one.absent}),
        "rounding": json.dumps([one.power * rounding for one in inequalities.values()]),
    }
    kept = {
        name: coordinate
        for name, coordinate in primitives.coords.items()
        if set(coordinate.dims) <= set(result["slack"].dims) and name != "inequality"
    }
    return annotate(result.assign_coords(kept), _TERMS)


def _slack(left: xr.DataArray, right: xr.DataArray) -> xr.DataArray:
    """log10(right / left): 0 for 0 <= 0, infinite for 0 <= anything and anything <= infinity."""
    slack = (right - left).where(~np.isposinf(right), np.inf)
    slack = slack.where(~np.isneginf(left), np.inf)
    return slack.where(~(np.isneginf(left) & np.isneginf(right)), 0.0)


def _mean_power(logarithms: xr.DataArray, k: float) -> xr.DataArray:
    """log10 of the mean over samples of the k-th power."""
    return log_mean_exp(k * np.log(10) * logarithms) / np.log(10)


def _unless_zero(log_norm: xr.DataArray, quotient: xr.DataArray) -> xr.DataArray:
    """A quotient by a norm that may be zero: then infinite, so that its bound says nothing."""
    return quotient.where(~np.isneginf(log_norm), np.inf)


def _log(values: xr.DataArray) -> xr.DataArray:
    with np.errstate(divide="ignore"):
        return np.log10(values)
