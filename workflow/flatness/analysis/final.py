"""A run's final value: what claims, correlations and figures mean by the end of training.

The mean over the checkpoints in the last fifth of the iterations. A single checkpoint carries the
noise of its last mini-batches; the authors' code averages its last measurements, too.
"""

import numpy as np
import xarray as xr

# As one part in so many of the run's iterations.
LAST_PART = 5


def final_checkpoints(iteration: np.ndarray) -> np.ndarray:
    """Which checkpoints a final value is the mean over.

    Args:
        iteration: (checkpoints,), increasing.

    Returns:
        (checkpoints,) booleans: those after four fifths of the last iteration. The last
        checkpoint always counts.
    """
    chosen = LAST_PART * iteration > (LAST_PART - 1) * iteration[-1]  # exact in integers
    chosen[-1] = True
    return chosen


def final_value(variable: xr.DataArray, *, last_checkpoint: bool = False) -> float:
    """The mean of a curve over its `final_checkpoints`.

    Args:
        variable: (checkpoint,), with the coordinate iteration.
        last_checkpoint: take the value there in the place of the mean.

    Returns:
        What is not finite if a value at any of these checkpoints is not.
    """
    values = variable.to_numpy()
    if last_checkpoint:
        return float(values[-1])
    with np.errstate(invalid="ignore"):  # infinities of both signs
        return float(values[final_checkpoints(variable["iteration"].to_numpy())].mean())
