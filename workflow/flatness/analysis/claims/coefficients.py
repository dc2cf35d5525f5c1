"""Correlation coefficients of many draws at once."""

import numpy as np
from scipy.stats import rankdata

# Beyond these the order of summation decides, and with it on which side of a threshold a
# coefficient lies that equals it.
_DECIMALS = 12


def pearson(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's coefficient along the last axis.

    Args:
        first: (..., n), finite.
        second: (..., n), finite.

    Returns:
        (...), between -1 and 1; NaN where one of the two is constant.
    """
    # A constant is told by its range: its deviations from a rounded mean need not be zero.
    defined = (np.ptp(first, axis=-1) > 0) & (np.ptp(second, axis=-1) > 0)
    first = first - first.mean(-1, keepdims=True)
    second = second - second.mean(-1, keepdims=True)
    norms = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    coefficient = (first * second).sum(-1) / np.where(defined, norms, np.nan)
    return np.clip(np.round(coefficient, _DECIMALS), -1, 1)


def spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's rank coefficient along the last axis; ties share their mean rank.

    Args:
        first: (..., n), finite.
        second: (..., n), finite.

    Returns:
        (...), between -1 and 1; NaN where one of the two is constant.
    """
    return pearson(rankdata(first, axis=-1), rankdata(second, axis=-1))
