"""One statistic applied to runs: the number, its intervals, and what stands against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.claims.curves import Curves, NotCountedError, never_interpolates
from flatness.analysis.claims.reading import AS_JUDGED, Reading
from flatness.analysis.claims.statistic import Observed, Statistic
from flatness.analysis.groups import excluded, labels, that_count


@dataclass(frozen=True)
class Outcome:
    """A statistic over the runs that count.

    Args:
        value: NaN where it is not defined.
        low, high: its interval over seeds; NaN where there is none.
        settings_low, settings_high: its interval over settings, likewise.
        runs: how many runs count.
        seeds: of how many seeds these are.
        by_seed: the value of each seed alone; none where the value is not defined.
        reasons: why there is no interval, and how many runs do not count and why, a sentence each.
        used: ids of the runs that count.
        left_out: by the reason, ids of those that do not.
    """

    value: float
    low: float
    high: float
    settings_low: float
    settings_high: float
    runs: int
    seeds: int
    by_seed: Mapping[int, float]
    reasons: Sequence[str]
    used: Sequence[str]
    left_out: Mapping[str, Sequence[str]]


def outcome(
    statistic: Statistic,
    runs: Sequence[AnalysedRun],
    *,
    interpolation_accuracy: float,
    confidence: float,
    bootstrap_draws: int,
    reading: Reading = AS_JUDGED,
) -> Outcome:
    """Apply a statistic to the analysed runs that it is about.

    Runs that diverged do not count, nor do those for which the statistic is not defined.
    """
    observed, used, left_out = _observed(statistic, runs, interpolation_accuracy, reading)
    seeds = np.unique(observed.seeds)
    value = statistic.value(observed)
    ends, settings_ends = (np.nan, np.nan), (np.nan, np.nan)
    by_seed: dict[int, float] = {}
    sentences = []
    if len(observed) and np.isnan(value):
        sentences.append(f"Not defined: {statistic.why_undefined(observed)}.")
    elif len(observed):
        alone = {
            int(seed): statistic.value(observed.only(observed.seeds == seed)) for seed in seeds
        }
        by_seed = {seed: number for seed, number in alone.items() if np.isfinite(number)}
        if len(seeds) < statistic.fewest_seeds:
            sentences.append(_few_seeds(len(seeds), by_seed, statistic.fewest_seeds))
        else:
            ends = statistic.interval(observed, observed.seeds, confidence, bootstrap_draws)
    several = len(np.unique(observed.settings)) >= statistic.fewest_seeds
    if statistic.over_settings and several and not np.isnan(value):
        settings_ends = statistic.interval(observed, observed.settings, confidence, bootstrap_draws)
    sentences += [_left_out(why, len(names), len(runs)) for why, names in left_out.items()]
    return Outcome(
        value,
        *ends,
        *settings_ends,
        len(observed),
        len(seeds),
        by_seed,
        sentences,
        used,
        left_out,
    )


def _observed(
    statistic: Statistic,
    runs: Sequence[AnalysedRun],
    interpolation_accuracy: float,
    reading: Reading,
) -> tuple[Observed, list[str], dict[str, list[str]]]:
    """What each run that counts adds, which these are, and the others by the reason."""
    numbers, those = [], []
    left_out: dict[str, list[str]] = {}
    for name, why in excluded(runs).items():
        left_out.setdefault(f"diverged, {why}", []).append(name)
    for run in that_count(runs):
        try:
            if reading.only_interpolating and not run.interpolates(interpolation_accuracy):
                raise NotCountedError(never_interpolates(interpolation_accuracy))
            numbers.append(statistic.observe(Curves(run, interpolation_accuracy, reading)))
            those.append(run)
        except NotCountedError as why:
            left_out.setdefault(str(why), []).append(run.id)
    seeds = np.array([run.seed for run in those], dtype=int)
    observed = Observed(np.array(numbers, dtype=float), seeds, labels(those)[1], reading.ranks)
    incomplete = statistic.incomplete(observed)
    for seed, why in incomplete.items():
        names = [run.id for run in those if run.seed == seed]
        left_out.setdefault(why, []).extend(names)
    if kept := [seed not in incomplete for seed in seeds]:
        observed = observed.only(np.array(kept))
    return observed, [run.id for run in those if run.seed not in incomplete], left_out


def _few_seeds(counted: int, by_seed: Mapping[int, float], needed: int) -> str:
    count = f"{counted} seed{'s count' if counted > 1 else ' counts'}"
    values = ", ".join(f"{value:.3g} (seed {seed})" for seed, value in by_seed.items())
    return f"{count}; an interval needs {needed}." + (f" By seed: {values}." if values else "")


def _left_out(why: str, count: int, runs: int) -> str:
    which = f"all {runs}" if 1 < runs == count else f"{count} of {runs}"
    return f"Not counted, {which} runs: {why}."
