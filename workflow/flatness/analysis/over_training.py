"""Which checkpoints stand for the course of training: the evenly spaced ones, the paper's axis.

The log-spaced ones of a run's beginning are many and close together, and would decide a trend.
"""

import numpy as np
import xarray as xr

from flatness.analysis.seeds import settings_of
from flatness.experiment.schedule import checkpoint_iterations


def evenly_spaced(run: xr.Dataset) -> np.ndarray:
    """The checkpoints that the run's schedule has without early ones.

    Args:
        run: with the coordinate iteration, and iterations and late_checkpoints in its settings.

    Returns:
        (checkpoints,) booleans; iteration 0 is none of them.
    """
    settings = settings_of(run)
    _, *evenly = checkpoint_iterations(settings["iterations"], 0, settings["late_checkpoints"])
    return np.isin(run["iteration"].to_numpy(), evenly)
