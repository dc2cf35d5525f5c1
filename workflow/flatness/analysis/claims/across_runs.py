"""Statistics across runs: correlations of settings and of final values."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from flatness.analysis.claims.coefficients import pearson, spearman
from flatness.analysis.claims.curves import Curves
from flatness.analysis.claims.measures import Measure
from flatness.analysis.correlations import FEWEST_FOR_COEFFICIENT

SETTINGS = ("learning_rate", "batch_size")


class FinalValues(Measure):
    """A statistic of each run's settings and of its quantities at the last checkpoint."""

    fewest_for_value = FEWEST_FOR_COEFFICIENT

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """What a run adds: names of settings, or of variables on train samples."""

    def observe(self, curves: Curves) -> tuple[float, ...]:
        """The values of `names` of one run."""
        return tuple(
            curves.settings[name] if name in SETTINGS else curves.final(name) for name in self.names
        )

    def why_undefined(self, observed: np.ndarray) -> str:
        """Which of `names` does not differ between the runs."""
        constant = [
            name for name, values in zip(self.names, observed.T, strict=True) if np.ptp(values) == 0
        ]
        return f"{' and '.join(constant)} is the same in all runs that count"


@dataclass(frozen=True)
class SettingEffect(FinalValues):
    """Spearman's coefficient of a setting and a final value over runs."""

    setting: str
    name: str

    @property
    def words(self) -> str:
        return f"Spearman rho({self.setting}, final {self.name}) across runs, train samples"

    @property
    def names(self) -> tuple[str, ...]:
        """The setting and the quantity."""
        return self.setting, self.name

    def combine(self, observed: np.ndarray) -> np.ndarray:
        """The coefficient."""
        return spearman(observed[..., 0], observed[..., 1])


@dataclass(frozen=True)
class Correlation(FinalValues):
    """Pearson's coefficient of two final values over runs."""

    first: str
    second: str

    @property
    def words(self) -> str:
        return (
            f"Pearson rho({self.first}, {self.second}) of final values across runs, train samples"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The two quantities."""
        return self.first, self.second

    def combine(self, observed: np.ndarray) -> np.ndarray:
        """The coefficient."""
        return pearson(observed[..., 0], observed[..., 1])


@dataclass(frozen=True)
class BetterPredictor(FinalValues):
    """By how much one final value correlates better with a target than another does."""

    better: str
    other: str
    target: str

    @property
    def words(self) -> str:
        return (
            f"Pearson |rho({self.better}, {self.target})| - |rho({self.other}, {self.target})| "
            "of final values across runs, train samples"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Both quantities and the target."""
        return self.better, self.other, self.target

    def combine(self, observed: np.ndarray) -> np.ndarray:
        """The difference of the coefficients' sizes."""
        target = observed[..., 2]
        better, other = (np.abs(pearson(observed[..., k], target)) for k in (0, 1))
        return better - other
