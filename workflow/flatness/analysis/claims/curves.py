"""One analysed run as arrays over its checkpoints, and the phases the claims speak of."""

from enum import Enum

import numpy as np
import xarray as xr

from flatness.analysis.seeds import interpolation_iteration, settings_of

# A trend over fewer checkpoints than this says nothing; the run does not count.
FEWEST_CHECKPOINTS = 4
# Sharpness has levelled off where it stays this near to its final value, relative to that.
LEVEL = 0.1


class NotCountedError(Exception):
    """A statistic is not defined for a run; the message says why, without a full stop."""


class Phase(Enum):
    """Which checkpoints of a run a statistic looks at; each lasts to the end of training.

    The late checkpoints begin with the first that interpolates. Sharpness has levelled
    off from the checkpoint on from which its root stays within `LEVEL` of its final value.
    """

    ALL = "checkpoints"
    LATE = "late checkpoints"
    LEVEL = "checkpoints since sqrt_sharpness has levelled off"


class Curves:
    """One analysed run.

    Args:
        run: as `analyse` gives it.
        interpolation_accuracy: training accuracy from which the run interpolates.
    """

    def __init__(self, run: xr.Dataset, interpolation_accuracy: float):
        self.settings = settings_of(run)
        self.dtype = run.attrs["dtype"]
        self.iteration = run["iteration"].to_numpy()
        self._run = run
        self._interpolation_accuracy = interpolation_accuracy

    def over(self, phase: Phase, name: str, sample_set: str = "train") -> np.ndarray:
        """One variable over the checkpoints of a phase.

        Returns:
            (checkpoints,), at least `FEWEST_CHECKPOINTS` finite values.

        Raises:
            NotCountedError: there are fewer checkpoints, or a value is not finite.
        """
        start = self._start(phase)
        if len(self.iteration) - start < FEWEST_CHECKPOINTS:
            raise NotCountedError(f"fewer than {FEWEST_CHECKPOINTS} {phase.value}")
        return self._finite(name, sample_set, slice(start, None))

    def final(self, name: str, sample_set: str = "train") -> float:
        """One variable at the last checkpoint.

        Raises:
            NotCountedError: the value is not finite.
        """
        return float(self._finite(name, sample_set, slice(-1, None))[0])

    def slack(self, inequality: str) -> np.ndarray:
        """log10(right / left) on train samples, (checkpoints,).

        It may be infinite, where the left or the right side vanishes.

        Raises:
            NotCountedError: it is absent at a checkpoint.
        """
        chosen = self._run["slack"].sel(inequality=inequality, sample_set="train").to_numpy()
        if np.isnan(chosen).any():
            raise NotCountedError(f"the inequality {inequality} is absent")
        return chosen

    def _start(self, phase: Phase) -> int:
        if phase is Phase.ALL:
            return 0
        if phase is Phase.LEVEL:
            root = self._finite("sqrt_sharpness", "train", slice(None))
            away = np.flatnonzero(np.abs(root - root[-1]) > LEVEL * root[-1])
            return int(away[-1]) + 1 if len(away) else 0
        first = interpolation_iteration(self._run, self._interpolation_accuracy)
        if first is None:
            raise NotCountedError(
                f"never reaches a training accuracy of {self._interpolation_accuracy:.4g}"
            )
        return int(np.flatnonzero(self.iteration == first)[0])

    def _finite(self, name: str, sample_set: str, where: slice) -> np.ndarray:
        variable = self._run[name]
        by_set = "sample_set" in variable.dims
        values = (variable.sel(sample_set=sample_set) if by_set else variable).to_numpy()[where]
        if np.isfinite(values).all():
            return values
        if "absent" in variable.attrs:
            raise NotCountedError(f"{name} is absent: {variable.attrs['absent']}")
        raise NotCountedError(
            f"{name} ({sample_set} samples) is not finite" if by_set else f"{name} is not finite"
        )
