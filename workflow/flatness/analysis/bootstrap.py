"""The bootstrap over runs: percentile intervals of any statistic.

Runs are drawn with replacement, and the statistic is computed anew for each draw.
Draws for which it is not defined, such as the correlation of a run drawn n times, do
not count.
"""

import warnings

import numpy as np

# With fewer runs than this there are too few different draws; no interval is given.
FEWEST_FOR_INTERVAL = 4
SEED = 0


def draws(runs: int, resamples: int) -> np.ndarray:
    """Positions of runs, drawn with replacement; the same for the same arguments.

    Returns:
        (resamples, runs) integers from 0 to runs - 1.
    """
    return np.random.default_rng(SEED).integers(0, runs, (resamples, runs))


def interval(values: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval over the first axis.

    Args:
        values: (resamples, ...) of the statistic; NaN where it is not defined.
        confidence: level of the interval, between 0 and 1.

    Returns:
        Lower and upper ends, (...); NaN where no draw counts.
    """
    tail = (1 - confidence) / 2
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")
        low, high = np.nanquantile(values, [tail, 1 - tail], axis=0)
    return low, high
