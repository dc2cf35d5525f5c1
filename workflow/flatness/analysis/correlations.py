"""Correlations between final quantities over the runs of a study.

R runs, Q quantities, B bootstrap draws. See `flatness.analysis.statistics`.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from flatness.analysis.absent import NOT_ANALYSED
from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.groups import excluded, labels, that_count
from flatness.analysis.statistics import (
    FEWEST_FOR_COEFFICIENT,
    FEWEST_FOR_INTERVAL,
    SEED,
    STATISTICS,
    coefficients,
    interval,
    times_drawn,
)
from flatness.glossary import annotate
from flatness.glossary.correlations import CORRELATIONS
from flatness.glossary.own import own_terms
from flatness.glossary.primitives import PRIMITIVES
from flatness.glossary.quantities import ANALYSIS, QUANTITIES
from flatness.run_id import shortest

FINAL_QUANTITIES = (
    "sharpness",
    "sqrt_sharpness",
    "adaptive_sharpness",
    "sqrt_adaptive_sharpness",
    "relative_flatness",
    "log_volume",
    "mean_input_gradient_sq_norm",
    "mls",
    "local_dimension",
    "mls_bound_b",
    "mls_bound_c",
    "mls_bound_d",
    "nmls",
    "nvr",
    "test_loss",
    "test_accuracy",
    "generalisation_gap",
)
POOLED = "pooled"
GROUPED_BY = ("learning_rate", "batch_size")
NUMBERS = ("coefficient", "low", "high", "settings_low", "settings_high")

_PROVENANCE = ("dataset", "dataset_checksum", "source", "commit")
_OF_ONE_STUDY = ("counted", "excluded", "not_finite", "absent", "provenance", "in_words")


def final_quantities(
    runs: Sequence[AnalysedRun], sample_set: str, names: Sequence[str] | None = None
) -> xr.Dataset:
    """The final quantities of each run, for the runs that did not diverge.

    A final value is the mean over the last fifth of the iterations, see `AnalysedRun.final`.

    Args:
        runs: the analysed runs of one study.
        sample_set: where the quantities are measured; test loss, test accuracy and
            generalisation gap are those of all images.
        names: of the quantities; None for `FINAL_QUANTITIES` and those of a user's own.

    Returns:
        A variable for each name over the dimension run, with each run's id, learning
        rate, batch size and seed as coordinates. A quantity that does not exist for the study's
        network, or in its files, is NaN, with the reason in its attribute `absent`. Dataset
        attributes, as JSON: `excluded`, the reason for each run that diverged, and `not_finite`,
        by run and quantity the other values that are not finite.
    """
    counted = that_count(runs)
    variables = {}
    not_finite: dict[str, dict[str, str]] = {}
    for name in names or _final_names():
        values = np.array(
            [run.final(name, sample_set) if name in run else np.nan for run in counted]
        )
        reasons = [reason for run in counted if (reason := _reason(run, name))]
        everywhere = bool(reasons) and len(reasons) == len(counted)
        variables[name] = ("run", values, {"absent": reasons[0]} if everywhere else {})
        if not everywhere:
            for position in np.flatnonzero(~np.isfinite(values)):
                of_run = not_finite.setdefault(counted[position].id, {})
                of_run[name] = f"{values[position]:g}"
    final = xr.Dataset(
        variables,
        coords={"run": np.array([run.id for run in counted], dtype=object)}
        | {
            key: ("run", np.array([getattr(run, key) for run in counted], dtype=kind))
            for key, kind in (("learning_rate", float), ("batch_size", int), ("seed", int))
        },
        attrs={
            "sample_set": sample_set,
            "excluded": json.dumps(excluded(runs)),
            "not_finite": json.dumps(not_finite),
        },
    )
    return annotate(final, PRIMITIVES | QUANTITIES | ANALYSIS | CORRELATIONS)


def _reason(run: AnalysedRun, name: str) -> str | None:
    """Why a quantity of one run is absent."""
    return run.absent(name) if name in run else NOT_ANALYSED


def correlations(
    runs: Sequence[AnalysedRun],
    *,
    sample_set: str,
    confidence: float,
    bootstrap_draws: int,
    names: Sequence[str] | None = None,
) -> xr.Dataset:
    """Pearson's, Spearman's and Kendall's coefficient for every pair of final quantities.

    Over all runs of the study ("pooled") and over those that share one learning rate or
    one batch size, unless these are all runs. Intervals are percentiles of the bootstrap over
    whole seeds, and, beside it, over whole settings. A run counts for a pair if it did not diverge
    and both values are finite. Fewer than `FEWEST_FOR_COEFFICIENT` runs or a quantity that is the
    same in all of them give NaN, fewer than `FEWEST_FOR_INTERVAL` seeds, or settings, no interval
    over these.

    Args:
        runs: the analysed runs of one study.
        sample_set: where the quantities are measured.
        confidence: level of the intervals, between 0 and 1.
        bootstrap_draws: B.
        names: of the quantities; None for `FINAL_QUANTITIES` and those of a user's own.

    Returns:
        coefficient, low, high, settings_low, settings_high (group, statistic, quantity,
        other_quantity), the numbers n of runs and seeds that count (group, quantity,
        other_quantity) and runs (group), those that did not diverge. A statistic is chosen by
        `.sel({"statistic": "pearson"})`; `method=` is an option of xarray's `sel`. Attributes hold
        the arguments, `bootstrap_seed`, and as JSON `counted`, the runs' ids, `excluded` and
        `not_finite` as in `final_quantities`, `absent`, the reason for each quantity that does not
        exist, `in_words`, how people read each group, and `provenance`.
    """
    names = _in_files(runs, names or _final_names())
    final = final_quantities(runs, sample_set, names)
    values = np.stack([final[name].to_numpy() for name in names], axis=1)
    groups = _groups(final)
    counted = that_count(runs)
    drawn_together = np.stack(labels(counted))
    results = [
        _of_group(values[member], drawn_together[:, member], confidence, bootstrap_draws)
        for member in groups.values()
    ]
    by_pair = ("quantity", "other_quantity")
    dataset = xr.Dataset(
        {
            name: (("group", "statistic", *by_pair), np.stack([result[name] for result in results]))
            for name in NUMBERS
        }
        | {
            name: (("group", *by_pair), np.stack([result[name] for result in results]))
            for name in ("n", "seeds")
        }
        | {
            "runs": ("group", np.array([member.sum() for member in groups.values()])),
        },
        coords={
            "group": np.array(list(groups), dtype=object),
            "statistic": np.array(list(STATISTICS), dtype=object),
            "quantity": np.array(names, dtype=object),
            "other_quantity": np.array(names, dtype=object),
        },
        attrs={
            "sample_set": sample_set,
            "confidence": confidence,
            "bootstrap_draws": bootstrap_draws,
            "bootstrap_seed": SEED,
            "counted": json.dumps(final["run"].to_numpy().tolist()),
            "excluded": final.attrs["excluded"],
            "not_finite": final.attrs["not_finite"],
            "absent": json.dumps(
                {
                    name: final[name].attrs["absent"]
                    for name in names
                    if "absent" in final[name].attrs
                }
            ),
            "in_words": json.dumps(
                {group: _in_words(group, counted, groups[group]) for group in groups}
            ),
            "provenance": json.dumps(
                {key: sorted({run.data.attrs[key] for run in runs}) for key in _PROVENANCE}
            ),
        },
    )
    return annotate(dataset, CORRELATIONS)


def together(datasets: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """The correlations of several studies in one Dataset, with the leading dimension study.

    A group or quantity that a study does not have is NaN there, with n = 0. Attributes that
    belong to one study become JSON by study.

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
    known = {name for dataset in datasets.values() for name in dataset["quantity"].to_numpy()}
    ranked = _final_names()
    names = np.array([name for name in ranked if name in known], dtype=object)
    nothing = dict.fromkeys(NUMBERS, np.nan) | {"n": 0, "seeds": 0, "runs": 0}
    places = {"group": ordered, "quantity": names, "other_quantity": names}
    aligned = [dataset.reindex(places, fill_value=nothing) for dataset in datasets.values()]
    joined = xr.concat(aligned, "study", combine_attrs="override").assign_coords(
        study=np.array(list(datasets), dtype=object)
    )
    joined.attrs = shared[0] | {
        key: json.dumps({name: json.loads(each.attrs[key]) for name, each in datasets.items()})
        for key in _OF_ONE_STUDY
    }
    return annotate(joined, CORRELATIONS)


def _final_names() -> tuple[str, ...]:
    """The quantities of tables: the package's, and those of a user's own."""
    return (*FINAL_QUANTITIES, *own_terms())


def _in_files(runs: Sequence[AnalysedRun], names: Sequence[str]) -> list[str]:
    """The quantities that any run's file has; all of them, if there is no run."""
    return [name for name in names if not runs or any(name in run for run in runs)]


def _groups(final: xr.Dataset) -> dict[str, np.ndarray]:
    """Which runs belong to each group, (R,) booleans."""
    groups = {POOLED: np.ones(final.sizes["run"], dtype=bool)}
    for key in GROUPED_BY:
        of_run = final[key].to_numpy()
        values = np.unique(of_run)
        if len(values) > 1:
            for value in values:
                groups[f"{key} {shortest(value)}"] = of_run == value
    return groups


def _rank_of_group(group: str) -> tuple[int, float]:
    """Pooled first, then learning rates, then batch sizes, each in increasing order."""
    kind, _, value = group.partition(" ")
    return (POOLED, *GROUPED_BY).index(kind), float(value or 0)


def _in_words(group: str, runs: Sequence[AnalysedRun], member: np.ndarray) -> str:
    """A group as people read it; a learning rate stands beside its loss."""
    kind, _, value = group.partition(" ")
    if kind == "learning_rate":
        value = next(
            run.rate_in_words for run, of_group in zip(runs, member, strict=True) if of_group
        )
    return f"{kind.replace('_', ' ')} {value}".rstrip()


def _of_group(
    values: np.ndarray, drawn_together: np.ndarray, confidence: float, bootstrap_draws: int
) -> dict[str, np.ndarray]:
    """Coefficients and intervals of one group.

    Pairs for which the same runs count share their draws.

    Args:
        values: (R, Q).
        drawn_together: (2, R), labels of each run's seed and of its setting.
        confidence: level of the intervals, between 0 and 1.
        bootstrap_draws: B.

    Returns:
        `NUMBERS`, each (statistics, Q, Q), n and seeds (Q, Q).
    """
    runs, quantities = values.shape
    finite = np.isfinite(values)
    counts = finite[:, :, None] & finite[:, None, :]
    result = {name: np.full((len(STATISTICS), quantities, quantities), np.nan) for name in NUMBERS}
    result |= {"n": counts.sum(0), "seeds": np.zeros((quantities, quantities), int)}
    masks, mask_of_pair = np.unique(
        counts.reshape(runs, quantities**2).T, axis=0, return_inverse=True
    )
    for position, mask in enumerate(masks):
        pairs = (mask_of_pair == position).reshape(quantities, quantities)
        seeds, settings = (each[mask] for each in drawn_together)
        result["seeds"][pairs] = len(set(seeds))
        if mask.sum() < FEWEST_FOR_COEFFICIENT:
            continue
        involved = np.flatnonzero(pairs.any(0))
        block = np.ix_(involved, involved)  # other pairs in it have a mask of their own
        chosen = values[np.ix_(mask, involved)]
        for place, statistic in enumerate(STATISTICS):
            found = _with_intervals(
                chosen, (seeds, settings), statistic, confidence, bootstrap_draws
            )
            for name, value in found.items():
                result[name][place][pairs] = value[pairs[block]]
    return result


def _with_intervals(
    values: np.ndarray,
    drawn_together: Sequence[np.ndarray],
    statistic: str,
    confidence: float,
    bootstrap_draws: int,
) -> dict[str, np.ndarray]:
    """One coefficient of finite values (R, Q) with the intervals that there are, each (Q, Q)."""
    found = {"coefficient": coefficients(values, np.ones((1, len(values))), statistic)[0]}
    for prefix, groups in zip(("", "settings_"), drawn_together, strict=True):
        if len(set(groups)) >= FEWEST_FOR_INTERVAL:
            drawn = coefficients(values, times_drawn(groups, bootstrap_draws), statistic)
            ends = interval(drawn, confidence)
            found |= {f"{prefix}low": ends[0], f"{prefix}high": ends[1]}
    return found
