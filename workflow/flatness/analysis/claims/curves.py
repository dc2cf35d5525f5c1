"""One analysed run as a claim reads it, and the phases the claims speak of."""

from enum import Enum

import numpy as np

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.claims.reading import AS_JUDGED, Reading

# A trend over fewer checkpoints than this says nothing; the run does not count.
FEWEST_CHECKPOINTS = 4
# Sharpness has levelled off where it stays this near to its final value, relative to that.
LEVEL = 0.1
# Levelling off before this share of the iterations leaves nothing to compare with.
EARLIEST_LEVEL = 0.05


class NotCountedError(Exception):
    """A statistic is not defined for a run; the message says why, without a full stop."""


class Phase(Enum):
    """Which checkpoints of a run a statistic looks at.

    The late phase begins with the first checkpoint that interpolates. Sharpness has levelled off
    from the checkpoint on from which its root stays within `LEVEL` of its final value. Both last to
    the end of training.
    """

    ALL = "checkpoints"
    TRAINING = "evenly spaced checkpoints"
    LAST_HALF = "evenly spaced checkpoints of the last half of training"
    LATE = "late checkpoints"
    LEVEL = "checkpoints since sqrt_sharpness has levelled off"


class Curves:
    """One analysed run, of which whatever is not there or not finite ends in a reason.

    Args:
        run: that is read.
        interpolation_accuracy: training accuracy from which the run interpolates.
        reading: which variables and which end of the run are read.
    """

    def __init__(
        self, run: AnalysedRun, interpolation_accuracy: float, reading: Reading = AS_JUDGED
    ):
        self.run = run
        self.iteration = run.iteration
        self._interpolation_accuracy = interpolation_accuracy
        self._reading = reading

    def over(self, phase: Phase, name: str, sample_set: str = "train") -> np.ndarray:
        """One variable over the checkpoints of a phase.

        Returns:
            (checkpoints,), at least `FEWEST_CHECKPOINTS` finite values.

        Raises:
            NotCountedError: there are fewer checkpoints, or a value is not finite.
        """
        chosen = self.checkpoints(phase)
        if chosen.sum() < FEWEST_CHECKPOINTS:
            raise NotCountedError(f"fewer than {FEWEST_CHECKPOINTS} {phase.value}")
        return self.at(chosen, name, sample_set)

    def final(self, name: str, sample_set: str = "train") -> float:
        """The final value of one variable, see `AnalysedRun.final`.

        Raises:
            NotCountedError: it is not finite.
        """
        value = self.run.at_the_end(
            self._curve(name, sample_set), last_checkpoint=self._reading.last_checkpoint
        )
        if not np.isfinite(value):
            raise self._not_finite(name, sample_set)
        return value

    def end(self) -> np.ndarray:
        """The checkpoints that a final value is the mean over, (checkpoints,) booleans."""
        return self.run.end(last_checkpoint=self._reading.last_checkpoint)

    def slack(self, inequality: str) -> np.ndarray:
        """log10(right / left) on train samples, (checkpoints,).

        It may be infinite, where the left or the right side vanishes.

        Raises:
            NotCountedError: it is absent at a checkpoint.
        """
        slack = self.run.slack(inequality)
        if np.isnan(slack).any():
            raise NotCountedError(f"the inequality {inequality} is absent")
        return slack

    def checkpoints(self, phase: Phase) -> np.ndarray:
        """Which checkpoints belong to a phase, (checkpoints,) booleans.

        Raises:
            NotCountedError: the run has no such phase.
        """
        if phase is Phase.ALL:
            return np.ones(len(self.iteration), dtype=bool)
        if phase is Phase.TRAINING:
            return self.run.evenly_spaced()
        if phase is Phase.LAST_HALF:
            return self.run.evenly_spaced() & (2 * self.iteration >= self.iteration[-1])
        if phase is Phase.LEVEL:
            return np.arange(len(self.iteration)) >= self._level()
        first = self.run.interpolation(self._interpolation_accuracy)
        if first is None:
            raise NotCountedError(never_interpolates(self._interpolation_accuracy))
        return self.iteration >= first

    def at(self, chosen: np.ndarray, name: str, sample_set: str = "train") -> np.ndarray:
        """One variable at some checkpoints.

        Args:
            chosen: (checkpoints,) booleans.
            name: of a variable.
            sample_set: where it is measured, if it depends on samples.

        Raises:
            NotCountedError: a value is not finite.
        """
        values = self._curve(name, sample_set)[chosen]
        if not np.isfinite(values).all():
            raise self._not_finite(name, sample_set)
        return values

    def _level(self) -> int:
        """The position from which on the root of the sharpness stays near its final value."""
        everywhere = np.ones(len(self.iteration), dtype=bool)
        root, final = self.at(everywhere, "sqrt_sharpness"), self.final("sqrt_sharpness")
        away = np.flatnonzero(np.abs(root - final) > LEVEL * final)
        position = int(away[-1]) + 1 if len(away) else 0
        if position == len(root):
            raise NotCountedError("sqrt_sharpness does not level off")
        if self.iteration[position] < EARLIEST_LEVEL * self.iteration[-1]:
            raise NotCountedError(
                f"sqrt_sharpness levels off before {EARLIEST_LEVEL:.0%} of the iterations"
            )
        return position

    def _curve(self, name: str, sample_set: str) -> np.ndarray:
        """One variable over all checkpoints, (checkpoints,)."""
        if name == "sqrt_mean_input_gradient_sq_norm":
            return np.sqrt(self._curve("mean_input_gradient_sq_norm", sample_set))
        if name == "mls_bound_c_without_weight_norm":
            norm = self._curve("input_weight_spectral_norm", sample_set)
            return self._curve("mls_bound_c", sample_set) / norm
        if name == "mls_bound_d" and self._reading.without_last_layer:
            # D is proportional to the root of the sharpness.
            names = ("sqrt_sharpness", self._reading.variable("sqrt_sharpness"))
            whole, before = (self._stored(each, sample_set) for each in names)
            return self._stored(name, sample_set) * before / whole
        return self._stored(self._reading.variable(name), sample_set)

    def _stored(self, name: str, sample_set: str) -> np.ndarray:
        if name not in self.run:
            raise NotCountedError(f"the analysed file holds no {name}")
        return self.run.curve(name, sample_set)

    def _not_finite(self, name: str, sample_set: str) -> NotCountedError:
        name = self._reading.variable(name)
        if name not in self.run:  # made of others that are
            return NotCountedError(f"{name} is not finite")
        if reason := self.run.absent(name):
            return NotCountedError(f"{name} is absent: {reason}")
        by_set = "sample_set" in self.run.data[name].dims
        return NotCountedError(
            f"{name} ({sample_set} samples) is not finite" if by_set else f"{name} is not finite"
        )


def never_interpolates(accuracy: float) -> str:
    """Why a run does not count where only runs that interpolate do."""
    return f"never reaches a training accuracy of {accuracy:.4g}"
