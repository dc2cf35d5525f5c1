"""Every statistic over runs: coefficients, the bootstrap, intervals, bands and slopes.

Figures, tables and verdicts take them from here.

**Coefficients** of many draws of runs at once: Pearson's, Spearman's and Kendall's. The three have
one form (Daniels, Biometrika 33, 1944): sum w a b / sqrt(sum w a^2 sum w b^2). The scores a and b
of two quantities are deviations from the mean (Pearson), those of the ranks (Spearman), or the
signs of the differences between two runs, for all pairs of runs (Kendall's tau-b). The weight w of
a run is how often it is drawn, that of a pair the product of both. scipy's functions have no
weights and take one pair of quantities at a time; tests compare with them.

**The bootstrap over whole seeds**: percentile intervals of any statistic. A seed fixes the initial
weights and the order of the batches for all settings, so runs of one seed are not independent:
seeds are drawn with replacement, each with all its runs, and the statistic is computed anew for
each draw. Draws for which it is not defined do not count. Settings are drawn whole in the same way,
where a second interval is to show what other settings would change.

R runs, Q quantities, B draws.
"""

import warnings
from collections.abc import Callable

import numpy as np

# Two runs always lie on a line.
FEWEST_FOR_COEFFICIENT = 3
# Beyond these the order of summation decides, and with it on which side of a threshold a
# coefficient lies that equals it.
_DECIMALS = 12
# Whole seeds, or whole settings. The interval of three means is the range of three numbers, and
# misses the true mean of a normal distribution in one of four cases; of two, in one of two. With
# four it misses it in one of five, with five in one of six, at a level of 95 %.
FEWEST_FOR_INTERVAL = 4
SEED = 0
# Scores that are held at once; bounds memory to some tens of MB.
_SCORES_AT_ONCE = 4_000_000


def coefficients(values: np.ndarray, weights: np.ndarray, statistic: str) -> np.ndarray:
    """The coefficient of every pair of quantities, for every draw.

    Args:
        values: (R, Q), finite.
        weights: (B, R) whole numbers from 0, not all of them 0: how often each run is drawn.
        statistic: one of `STATISTICS`.

    Returns:
        (B, Q, Q), between -1 and 1, rounded to 12 decimals; NaN where a quantity is the same in
        all runs that are drawn.
    """
    runs, quantities = values.shape
    scores = STATISTICS[statistic]
    size = max(1, _SCORES_AT_ONCE // max(1, runs**2 * quantities))
    parts = [
        _coefficients(*scores(values, weights[start : start + size].astype(float)))
        for start in range(0, len(weights), size)
    ]
    return np.concatenate(parts)


def pearson(first: np.ndarray, second: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Pearson's coefficient of two quantities.

    Args:
        first: (R,), finite.
        second: (R,), finite.
        weights: (..., R), how often each run is drawn; each once where it is left out.

    Returns:
        (...); NaN where one of the two is the same in all runs that are drawn.
    """
    return _pair(first, second, weights, "pearson")


def spearman(
    first: np.ndarray, second: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Spearman's rank coefficient; ties share their mean rank. See `pearson`."""
    return _pair(first, second, weights, "spearman")


def drawn_positions(groups: int, bootstrap_draws: int) -> np.ndarray:
    """Positions of groups, drawn with replacement; the same for the same arguments.

    Returns:
        (bootstrap_draws, groups) integers from 0 to groups - 1.
    """
    return np.random.default_rng(SEED).integers(0, groups, (bootstrap_draws, groups))


def times_drawn(labels: np.ndarray, bootstrap_draws: int) -> np.ndarray:
    """How often each run is drawn, where runs with one label are drawn together.

    Args:
        labels: (R,), of the group of each run.
        bootstrap_draws: B.

    Returns:
        (B, R) integers.
    """
    names, group = np.unique(labels, return_inverse=True)
    drawn = drawn_positions(len(names), bootstrap_draws)
    counts = (drawn[:, :, None] == np.arange(len(names))).sum(1)
    return counts[:, group]


def interval(values: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval over the first axis.

    Args:
        values: (bootstrap_draws, ...) of the statistic; NaN where it is not defined.
        confidence: level of the interval, between 0 and 1.

    Returns:
        Lower and upper ends, (...); NaN where no draw counts.
    """
    tail = (1 - confidence) / 2
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")
        low, high = np.nanquantile(values, [tail, 1 - tail], axis=0)
    return low, high


def band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest finite value over the first axis, of seeds.

    It holds for two seeds as for many, and never leaves the values that a quantity can have.

    Args:
        values: (seeds, ...).

    Returns:
        Two arrays (...); NaN where no value is finite.
    """
    finite = np.where(np.isfinite(values), values, np.nan)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")
        return np.nanmin(finite, 0), np.nanmax(finite, 0)


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """Of the straight line with the least squares, for x that are not all equal."""
    deviations = x - x.mean()
    return float((deviations * (y - y.mean())).sum() / np.square(deviations).sum())


def _pair(
    first: np.ndarray, second: np.ndarray, weights: np.ndarray | None, statistic: str
) -> np.ndarray:
    values = np.stack([np.asarray(first, float), np.asarray(second, float)], axis=1)
    weights = np.ones(len(values)) if weights is None else weights
    found = coefficients(values, weights.reshape(-1, len(values)), statistic)
    return found[:, 0, 1].reshape(weights.shape[:-1])


def _coefficients(scored: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B, Q, Q) from scores (B, K, Q) or (K, Q) and their weights (B, K)."""
    weighted = weights[:, :, None] * scored
    # Not `@`: BLAS adds in an order that depends on the processor, and so would last digits.
    if scored.ndim == 3:
        products = np.einsum("bki,bkj->bij", weighted, scored)
    else:
        products = np.einsum("bki,kj->bij", weighted, scored)
    squares = np.diagonal(products, axis1=1, axis2=2)
    with np.errstate(invalid="ignore"):
        ratio = products / np.sqrt(squares[:, :, None] * squares[:, None, :])
    return np.clip(np.round(ratio, _DECIMALS), -1, 1)  # rounding may carry it past the ends


def _deviations(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Deviations from the mean in units of the largest; exactly 0 for a constant.

    Args:
        values: (R, Q), or (B, R, Q) where they differ between draws.
        weights: (B, R).
    """
    values = np.broadcast_to(values, (len(weights), *values.shape[-2:]))
    drawn = weights[:, :, None] > 0
    total = weights.sum(1)[:, None, None]
    mean = np.einsum("br,brq->bq", weights, values)[:, None, :] / total
    deviations = np.where(drawn, values - mean, 0)
    largest = np.abs(deviations).max(1, keepdims=True)
    # A constant is told by its range: its deviations from a rounded mean need not be zero.
    high = np.where(drawn, values, -np.inf).max(1, keepdims=True)
    varies = high > np.where(drawn, values, np.inf).min(1, keepdims=True)
    scored = np.divide(deviations, largest, out=np.zeros_like(deviations), where=varies)
    return scored, weights


def _rank_deviations(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Half of the equal ones stand below: what ties share is their mean rank.
    below = (values[None] < values[:, None]) + (values[None] == values[:, None]) / 2
    return _deviations(np.einsum("bj,ijq->biq", weights, below), weights)


def _signs(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signs of the differences between two runs, (R (R - 1) / 2, Q)."""
    one, other = np.triu_indices(len(values), 1)
    return np.sign(values[one] - values[other]), weights[:, one] * weights[:, other]


STATISTICS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "pearson": _deviations,
    "spearman": _rank_deviations,
    "kendall": _signs,
}
