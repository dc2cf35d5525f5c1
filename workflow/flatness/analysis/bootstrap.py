"""The bootstrap over whole seeds: percentile intervals of any statistic.

A seed fixes the initial weights and the order of the batches for all settings, so runs of one seed
are not independent: seeds are drawn with replacement, each with all its runs, and the statistic is
computed anew for each draw. Draws for which it is not defined do not count. Settings are drawn
whole in the same way, where a second interval is to show what other settings would change.
"""

import warnings

import numpy as np

# Whole seeds, or whole settings. The interval of three means is the range of three numbers, and
# misses the true mean of a normal distribution in one of four cases; of two, in one of two. With
# four it misses it in one of five, with five in one of six, at a level of 95 %.
FEWEST_FOR_INTERVAL = 4
SEED = 0


def draws(groups: int, resamples: int) -> np.ndarray:
    """Positions of groups, drawn with replacement; the same for the same arguments.

    Returns:
        (resamples, groups) integers from 0 to groups - 1.
    """
    return np.random.default_rng(SEED).integers(0, groups, (resamples, groups))


def weights(labels: np.ndarray, resamples: int) -> np.ndarray:
    """How often each run is drawn, where runs with one label are drawn together.

    Args:
        labels: (R,), of the group of each run.
        resamples: B.

    Returns:
        (B, R) integers.
    """
    names, group = np.unique(labels, return_inverse=True)
    drawn = draws(len(names), resamples)
    counts = (drawn[:, :, None] == np.arange(len(names))).sum(1)
    return counts[:, group]


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
