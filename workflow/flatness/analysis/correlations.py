"""Correlations between final quantities over the runs of a study.

R runs, Q quantities, B bootstrap draws of runs. The three coefficients have one form
(Daniels, Biometrika 33, 1944): sum a b / sqrt(sum a^2 sum b^2), where the scores a and b
of two quantities are deviations from the mean (Pearson), those of the ranks (Spearman), or
the signs of the differences between two runs, for all pairs of runs (Kendall's tau-b).
"""

import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from flatness.analysis.bootstrap import FEWEST_FOR_INTERVAL, SEED, draws, interval
from flatness.analysis.final import final_value
from flatness.analysis.seeds import settings_of, split_excluded
from flatness.glossary import annotate
from flatness.glossary.correlations import CORRELATIONS
from flatness.glossary.primitives import PRIMITIVES
from flatness.glossary.quantities import ANALYSIS, QUANTITIES

FINAL_QUANTITIES = (
    "sharpness",
    "sqrt_sharpness",
    "log_volume",
    "input_gradient_norm",
    "mls",
    "local_dimension",
    "mls_bound_b",
    "mls_bound_c",
    "mls_bound_d",
    "nmls",
    "test_loss",
    "test_accuracy",
    "generalisation_gap",
)
POOLED = "pooled"
GROUPED_BY = ("learning_rate", "batch_size")
# Two runs always lie on a line.
FEWEST_FOR_COEFFICIENT = 3

_PROVENANCE = ("dataset", "dataset_checksum", "source", "commit")
_OF_ONE_STUDY = ("counted", "excluded", "not_finite", "absent", "provenance")
# Scores that are held at once; bounds memory to some tens of MB.
_SCORES_AT_ONCE = 4_000_000


def final_quantities(runs: Sequence[xr.Dataset], sample_set: str) -> xr.Dataset:
    """The final quantities of each run, for the runs that did not diverge.

    A final value is the mean over the last fifth of the iterations, see `analysis.final`.

    Args:
        runs: the analysed runs of one study.
        sample_set: where the quantities are measured; test loss, test accuracy and
            generalisation gap are those of all images.

    Returns:
        The variables `FINAL_QUANTITIES` over the dimension run, with each run's id, learning
        rate, batch size and seed as coordinates. A quantity that does not exist for the study's
        network is NaN, with the reason in its attribute `absent`. Dataset attributes, as JSON:
        `excluded`, the reason for each run that diverged, and `not_finite`, by run and quantity
        the other values that are not finite.
    """
    counted, excluded = split_excluded(runs)
    of_set = [run.sel(sample_set=sample_set) for run in counted]
    settings = [settings_of(run) for run in counted]
    variables = {}
    not_finite: dict[str, dict[str, str]] = {}
    for name in FINAL_QUANTITIES:
        values = np.array([final_value(run[name]) for run in of_set])
        reasons = [reason for run in of_set if (reason := run[name].attrs.get("absent"))]
        variables[name] = ("run", values, {"absent": reasons[0]} if reasons else {})
        if not reasons:
            for position in np.flatnonzero(~np.isfinite(values)):
                run = of_set[position].attrs["run"]
                not_finite.setdefault(run, {})[name] = f"{values[position]:g}"
    final = xr.Dataset(
        variables,
        coords={"run": np.array([run.attrs["run"] for run in counted], dtype=object)}
        | {
            key: ("run", np.array([each[key] for each in settings], dtype=kind))
            for key, kind in (("learning_rate", float), ("batch_size", int), ("seed", int))
        },
        attrs={
            "sample_set": sample_set,
            "excluded": json.dumps(excluded),
            "not_finite": json.dumps(not_finite),
        },
    )
    return annotate(final, PRIMITIVES | QUANTITIES | ANALYSIS | CORRELATIONS)


def correlations(
    runs: Sequence[xr.Dataset], *, sample_set: str, confidence: float, resamples: int
) -> xr.Dataset:
    """Pearson's, Spearman's and Kendall's coefficient for every pair of final quantities.

    Over all runs of the study ("pooled") and over those that share one learning rate or
    one batch size, unless these are all runs. Intervals are percentiles of the bootstrap over
    runs. A run counts for a pair if it did not diverge and both values are finite. Fewer than
    `FEWEST_FOR_COEFFICIENT` runs or a quantity that is the same in all of them give NaN,
    fewer than `FEWEST_FOR_INTERVAL` runs no interval.

    Args:
        runs: the analysed runs of one study.
        sample_set: where the quantities are measured.
        confidence: level of the intervals, between 0 and 1.
        resamples: B.

    Returns:
        coefficient, low, high (group, method, quantity, other_quantity), the number n of runs
        that count (group, quantity, other_quantity) and runs (group), those that did not
        diverge. A method is chosen by `.sel({"statistic": "pearson"})`; `method=` is an option of
        xarray's `sel`. Attributes hold the arguments, `bootstrap_seed`, and as JSON `counted`,
        the runs' ids, `excluded` and `not_finite` as in `final_quantities`, `absent`, the reason
        for each quantity that does not exist, and `provenance`.
    """
    final = final_quantities(runs, sample_set)
    values = np.stack([final[name].to_numpy() for name in FINAL_QUANTITIES], axis=1)
    groups = _groups(final)
    results = [_of_group(values[member], confidence, resamples) for member in groups.values()]
    by_pair = ("quantity", "other_quantity")
    dataset = xr.Dataset(
        {
            name: (("group", "statistic", *by_pair), np.stack([result[name] for result in results]))
            for name in ("coefficient", "low", "high")
        }
        | {
            "n": (("group", *by_pair), np.stack([result["n"] for result in results])),
            "runs": ("group", np.array([member.sum() for member in groups.values()])),
        },
        coords={
            "group": np.array(list(groups), dtype=object),
            "statistic": np.array(list(_SCORES), dtype=object),
            "quantity": np.array(FINAL_QUANTITIES, dtype=object),
            "other_quantity": np.array(FINAL_QUANTITIES, dtype=object),
        },
        attrs={
            "sample_set": sample_set,
            "confidence": confidence,
            "resamples": resamples,
            "bootstrap_seed": SEED,
            "counted": json.dumps(final["run"].to_numpy().tolist()),
            "excluded": final.attrs["excluded"],
            "not_finite": final.attrs["not_finite"],
            "absent": json.dumps(
                {
                    name: variable.attrs["absent"]
                    for name, variable in final.items()
                    if "absent" in variable.attrs
                }
            ),
            "provenance": json.dumps(
                {key: ", ".join(sorted({run.attrs[key] for run in runs})) for key in _PROVENANCE}
            ),
        },
    )
    return annotate(dataset, CORRELATIONS)


def together(datasets: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """The correlations of several studies in one Dataset, with the leading dimension study.

    A group that a study does not have is NaN there, with n = 0. Attributes that belong to
    one study become JSON by study.

    Raises:
        ValueError: the studies were correlated with different arguments.
    """
    shared = [
        {key: value for key, value in dataset.attrs.items() if key not in _OF_ONE_STUDY}
        for dataset in datasets.values()
    ]
    if any(attributes != shared[0] for attributes in shared):
        raise ValueError(f"expected studies with equal arguments, got {shared}")
    groups = {group for dataset in datasets.values() for group in dataset["group"].to_numpy()}
    ordered = np.array(sorted(groups, key=_rank_of_group), dtype=object)
    nothing = {"coefficient": np.nan, "low": np.nan, "high": np.nan, "n": 0, "runs": 0}
    aligned = [dataset.reindex(group=ordered, fill_value=nothing) for dataset in datasets.values()]
    joined = xr.concat(aligned, "study", combine_attrs="override").assign_coords(
        study=np.array(list(datasets), dtype=object)
    )
    joined.attrs = shared[0] | {
        key: json.dumps({name: json.loads(each.attrs[key]) for name, each in datasets.items()})
        for key in _OF_ONE_STUDY
    }
    return annotate(joined, CORRELATIONS)


def _groups(final: xr.Dataset) -> dict[str, np.ndarray]:
    """Which runs belong to each group, (R,) booleans."""
    groups = {POOLED: np.ones(final.sizes["run"], dtype=bool)}
    for key in GROUPED_BY:
        of_run = final[key].to_numpy()
        values = np.unique(of_run)
        if len(values) > 1:
            for value in values:
                # The shortest form, as in the ids of runs.
                groups[f"{key} {repr(float(value)).removesuffix('.0')}"] = of_run == value
    return groups


def _rank_of_group(group: str) -> tuple[int, float]:
    """Pooled first, then learning rates, then batch sizes, each in increasing order."""
    kind, _, value = group.partition(" ")
    return (POOLED, *GROUPED_BY).index(kind), float(value or 0)


def _of_group(values: np.ndarray, confidence: float, resamples: int) -> dict[str, np.ndarray]:
    """Coefficients and intervals of one group, from values (R, Q).

    Pairs for which the same runs count share their draws.

    Returns:
        coefficient, low, high (methods, Q, Q) and n (Q, Q).
    """
    runs, quantities = values.shape
    finite = np.isfinite(values)
    counts = finite[:, :, None] & finite[:, None, :]
    result = {
        name: np.full((len(_SCORES), quantities, quantities), np.nan)
        for name in ("coefficient", "low", "high")
    } | {"n": counts.sum(0)}
    masks, mask_of_pair = np.unique(
        counts.reshape(runs, quantities**2).T, axis=0, return_inverse=True
    )
    for position, mask in enumerate(masks):
        n = mask.sum()
        if n < FEWEST_FOR_COEFFICIENT:
            continue
        pairs = (mask_of_pair == position).reshape(quantities, quantities)
        involved = np.flatnonzero(pairs.any(0))
        block = np.ix_(involved, involved)  # other pairs in it have a mask of their own
        chosen = values[np.ix_(mask, involved)]
        for method, scores in enumerate(_SCORES.values()):
            found = {"coefficient": _coefficients(chosen[None], scores)[0]}
            if n >= FEWEST_FOR_INTERVAL:
                drawn = _of_draws(chosen, draws(n, resamples), scores)
                found["low"], found["high"] = interval(drawn, confidence)
            for name, value in found.items():
                result[name][method][pairs] = value[pairs[block]]
    return result


def _of_draws(
    values: np.ndarray, positions: np.ndarray, scores: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Coefficients of each draw, (B, Q, Q), from values (R, Q) and positions (B, R)."""
    runs, quantities = values.shape
    size = max(1, _SCORES_AT_ONCE // (runs**2 * quantities))
    return np.concatenate(
        [
            _coefficients(values[positions[start : start + size]], scores)
            for start in range(0, len(positions), size)
        ]
    )


def _coefficients(values: np.ndarray, scores: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Coefficients (B, Q, Q) from values (B, R, Q); NaN where a quantity does not vary."""
    scored = scores(values)
    # Not `@`: BLAS adds in an order that depends on the processor, and so would last digits.
    products = np.einsum("bri,brj->bij", scored, scored)
    squares = np.diagonal(products, axis1=1, axis2=2)
    with np.errstate(invalid="ignore"):
        ratio = products / np.sqrt(squares[:, :, None] * squares[:, None, :])
    return np.clip(ratio, -1, 1)  # rounding may carry it past the ends


def _deviations(values: np.ndarray) -> np.ndarray:
    """Deviations from the mean in units of the largest; exactly 0 for a constant."""
    deviations = values - values.mean(1, keepdims=True)
    largest = np.abs(deviations).max(1, keepdims=True)
    varies = values.max(1, keepdims=True) > values.min(1, keepdims=True)
    return np.divide(deviations, largest, out=np.zeros_like(deviations), where=varies)


def _rank_deviations(values: np.ndarray) -> np.ndarray:
    return _deviations(rankdata(values, axis=1))


def _signs(values: np.ndarray) -> np.ndarray:
    """Signs of the differences between two runs, (B, R (R - 1) / 2, Q)."""
    one, other = np.triu_indices(values.shape[1], 1)
    return np.sign(values[:, one] - values[:, other])


_SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "pearson": _deviations,
    "spearman": _rank_deviations,
    "kendall": _signs,
}
