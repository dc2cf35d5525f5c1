"""What a statistic is: numbers of each run, and what they come to over runs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from flatness.analysis.claims.curves import Curves
from flatness.analysis.statistics import FEWEST_FOR_INTERVAL, interval, times_drawn


@dataclass(frozen=True)
class Observed:
    """What the R runs that count add.

    Args:
        numbers: (R, K), K of each run.
        seeds: (R,), seed of each run.
        settings: (R,), equal for runs of one learning rate and batch size.
        ranks: whether Spearman's coefficient stands in the place of Pearson's.
    """

    numbers: np.ndarray
    seeds: np.ndarray
    settings: np.ndarray
    ranks: bool = False

    def __len__(self) -> int:
        return len(self.numbers)

    def only(self, chosen: np.ndarray) -> "Observed":
        """Those of some runs, chosen by (R,) booleans."""
        return replace(
            self,
            numbers=self.numbers[chosen],
            seeds=self.seeds[chosen],
            settings=self.settings[chosen],
        )


class Statistic(ABC):
    """A statistic over runs with its interval.

    `fewest_for_value` is the number of runs that its value needs, `fewest_seeds` the number of
    seeds, or of settings, that an interval over these needs. `over_settings`: whether there is a
    second interval, over settings. What it rests on decides which alternatives apply to it:
    `rests_on_final` final values, `rests_on_pearson` Pearson's coefficient, `only_late` runs that
    interpolate.
    """

    fewest_for_value = 1
    fewest_seeds = FEWEST_FOR_INTERVAL
    over_settings = False
    rests_on_final = False
    rests_on_pearson = False
    only_late = False

    @property
    @abstractmethod
    def words(self) -> str:
        """What is computed, with its formula."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The variables that it reads."""

    @abstractmethod
    def observe(self, curves: Curves) -> tuple[float, ...]:
        """The numbers that one run adds.

        Raises:
            NotCountedError: the run has no such numbers.
        """

    @abstractmethod
    def combine(self, observed: Observed, drawn: np.ndarray) -> np.ndarray:
        """The statistic.

        Args:
            observed: of R runs.
            drawn: (B, R), how often each run is drawn.

        Returns:
            (B,); NaN where it is not defined.
        """

    def value(self, observed: Observed) -> float:
        """The statistic of the runs as they are; NaN where it is not defined."""
        if len(observed) < self.fewest_for_value:
            return np.nan
        return float(self.combine(observed, np.ones((1, len(observed))))[0])

    def interval(
        self, observed: Observed, together: np.ndarray, confidence: float, bootstrap_draws: int
    ) -> tuple[float, float]:
        """Percentile interval of the statistic over draws of whole groups of runs.

        Args:
            observed: of R runs.
            together: (R,), equal for runs that are drawn together.
            confidence: level of the interval, between 0 and 1.
            bootstrap_draws: number of draws.
        """
        drawn = self.combine(observed, times_drawn(together, bootstrap_draws))
        low, high = interval(drawn, confidence)
        return float(low), float(high)

    def incomplete(self, observed: Observed) -> Mapping[int, str]:
        """Seeds whose runs do not count, with the reason."""
        return {}

    def why_undefined(self, observed: Observed) -> str:
        """Why the value is NaN for the runs as they are."""
        return f"the statistic is not defined for {len(observed)} runs"


class MeanOverRuns(Statistic):
    """A statistic of one run's curves, averaged over runs."""

    @property
    @abstractmethod
    def one_run(self) -> str:
        """What is computed for one run."""

    @abstractmethod
    def of(self, curves: Curves) -> float:
        """The statistic of one run.

        Raises:
            NotCountedError: it is not defined for this run.
        """

    @property
    def words(self) -> str:
        return f"mean over runs of {self.one_run}"

    def observe(self, curves: Curves) -> tuple[float, ...]:
        """The statistic of one run."""
        return (self.of(curves),)

    def combine(self, observed: Observed, drawn: np.ndarray) -> np.ndarray:
        """The mean over the runs drawn."""
        return (drawn * observed.numbers[:, 0]).sum(1) / drawn.sum(1)
