"""Whether what was computed again is what was recorded."""

import numpy as np
import xarray as xr

# Where versions, machine or device differ: of the largest value of a variable. Rounding of
# float32 alone is a thousand times smaller; a sample at a kink (a ReLU at zero, a tie in
# max-pooling) may have the derivative of its other side, and changes a mean by less than this.
TOLERANCE = 1e-3


def same_bits(one: xr.DataArray, other: xr.DataArray) -> bool:
    """Whether type, shape and every bit are the same; text by its characters."""
    if one.dtype != other.dtype or one.dims != other.dims or one.shape != other.shape:
        return False
    if one.dtype == object:
        return list(one.values.flat) == list(other.values.flat)
    return one.values.tobytes() == other.values.tobytes()


def largest(values: np.ndarray) -> float:
    """The largest absolute value of those that are finite; 0 without any."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def distance(recorded: np.ndarray, again: np.ndarray, scale: float) -> float:
    """The largest difference over `scale`.

    Args:
        recorded: numbers of any shape.
        again: those that were computed again.
        scale: what counts as large, see `largest`.

    Returns:
        Infinite where another shape or another place is not finite, or where values without a
        scale differ.
    """
    if recorded.shape != again.shape:
        return np.inf
    finite = np.isfinite(recorded)
    if not np.array_equal(recorded[~finite], again[~finite], equal_nan=True):
        return np.inf
    difference = float(np.abs(recorded[finite] - again[finite]).max(initial=0.0))
    if not difference:
        return 0.0
    return difference / scale if scale else np.inf
