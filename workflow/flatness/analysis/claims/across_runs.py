"""Statistics across runs: effects of a setting, and correlations of final values."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flatness.analysis.claims.curves import Curves, NotCountedError
from flatness.analysis.claims.statistic import Observed, Statistic
from flatness.analysis.statistics import FEWEST_FOR_COEFFICIENT, pearson, slope, spearman

# Quantities that are logarithms already; of the others the logarithm to base 10 is taken.
_LOGARITHMS = ("log_volume",)


@dataclass(frozen=True)
class SettingEffect(Statistic):
    """The slope of a final value against log2 of a setting within each seed, mean over seeds.

    Within a seed all runs start from the same weights and see the samples in the same order, so
    what the seed does to a quantity is the same in all of them.
    """

    setting: str
    name: str
    rests_on_final = True

    @property
    def words(self) -> str:
        return (
            f"mean over seeds of the slope, within a seed, of {self._scale}{self.name} at the end "
            f"against log2 of {self.setting}, train samples: change per doubling"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The quantity."""
        return (self.name,)

    @property
    def _scale(self) -> str:
        return "" if self.name in _LOGARITHMS else "log10 "

    def observe(self, curves: Curves) -> tuple[float, float]:
        """log2 of the setting, and the final value on its scale."""
        value = curves.final(self.name)
        if self._scale:
            if value <= 0:
                raise NotCountedError(f"{self.name} is not positive at the end")
            value = float(np.log10(value))
        return float(np.log2(getattr(curves.run, self.setting))), value

    def incomplete(self, observed: Observed) -> Mapping[int, str]:
        """Seeds in which a single value of the setting counts."""
        return {
            seed: f"only one {self.setting.replace('_', ' ')} of this seed counts"
            for seed in np.unique(observed.seeds)
            if np.ptp(observed.numbers[observed.seeds == seed, 0]) == 0
        }

    def combine(self, observed: Observed, drawn: np.ndarray) -> np.ndarray:
        """The mean of the slopes over the seeds drawn."""
        seeds, first = np.unique(observed.seeds, return_index=True)
        slopes = [slope(*observed.numbers[observed.seeds == seed].T) for seed in seeds]
        of_seed = drawn[:, first]  # all runs of a seed are drawn together
        return (of_seed * np.array(slopes)).sum(1) / of_seed.sum(1)


class FinalValues(Statistic):
    """A statistic of the coefficients between the runs' final values."""

    fewest_for_value = FEWEST_FOR_COEFFICIENT
    over_settings = True
    rests_on_final = True
    rests_on_pearson = True

    def observe(self, curves: Curves) -> tuple[float, ...]:
        """The final values of `names` of one run."""
        return tuple(curves.final(name) for name in self.names)

    def combine(self, observed: Observed, drawn: np.ndarray) -> np.ndarray:
        """The statistic, by Pearson's coefficient unless ranks are asked for."""
        coefficient = spearman if observed.ranks else pearson
        columns = dict(zip(self.names, observed.numbers.T, strict=True))

        def rho(first: str, second: str) -> np.ndarray:
            return coefficient(columns[first], columns[second], drawn)

        return self.of(rho)

    @abstractmethod
    def of(self, rho) -> np.ndarray:
        """The statistic, from a function that gives the coefficient of two variables."""

    def why_undefined(self, observed: Observed) -> str:
        """Which of `names` does not differ between the runs."""
        if len(observed) < self.fewest_for_value:
            return f"a coefficient needs {self.fewest_for_value} runs, and {len(observed)} count"
        columns = zip(self.names, observed.numbers.T, strict=True)
        constant = [name for name, values in columns if np.ptp(values) == 0]
        return f"{' and '.join(constant)} is the same in all runs that count"


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

    def of(self, rho) -> np.ndarray:
        """The coefficient."""
        return rho(self.first, self.second)


@dataclass(frozen=True)
class BetterCorrelated(FinalValues):
    """By how much more one final value correlates with a target than another does, with signs.

    A coefficient of -0.8 is no better correlation than one of 0.1.
    """

    better: str
    other: str
    target: str

    @property
    def words(self) -> str:
        return (
            f"Pearson rho({self.better}, {self.target}) - rho({self.other}, {self.target}) of "
            "final values across runs, train samples"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Both quantities and the target."""
        return self.better, self.other, self.target

    def of(self, rho) -> np.ndarray:
        """The difference of the coefficients."""
        return rho(self.better, self.target) - rho(self.other, self.target)
