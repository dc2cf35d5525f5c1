"""What a statistic is: numbers of each run, and what they come to over runs."""

from abc import ABC, abstractmethod

import numpy as np

from flatness.analysis.bootstrap import FEWEST_FOR_INTERVAL, draws, interval
from flatness.analysis.claims.curves import Curves


class Measure(ABC):
    """A statistic over runs with its interval.

    `fewest_for_value` and `fewest_for_interval` are the numbers of runs that these need.
    """

    fewest_for_value = 1
    fewest_for_interval = FEWEST_FOR_INTERVAL

    @property
    @abstractmethod
    def words(self) -> str:
        """What is computed, with its formula."""

    @abstractmethod
    def observe(self, curves: Curves) -> tuple[float, ...]:
        """The numbers that one run adds.

        Raises:
            NotCountedError: the run has no such numbers.
        """

    @abstractmethod
    def combine(self, observed: np.ndarray) -> np.ndarray:
        """The statistic of (..., runs, numbers), with shape (...); NaN where not defined."""

    def interval(
        self, observed: np.ndarray, confidence: float, resamples: int
    ) -> tuple[float, float]:
        """Percentile interval of the statistic over draws of runs with replacement.

        Args:
            observed: (runs, numbers).
            confidence: level of the interval, between 0 and 1.
            resamples: number of draws.
        """
        drawn = self.combine(observed[draws(len(observed), resamples)])
        low, high = interval(drawn, confidence)
        return float(low), float(high)

    def why_undefined(self, observed: np.ndarray) -> str:
        """Why `combine` is NaN for the runs as they are."""
        return f"the statistic is not defined for {len(observed)} runs"


class MeanOverRuns(Measure):
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

    def combine(self, observed: np.ndarray) -> np.ndarray:
        """The mean over runs."""
        return observed[..., 0].mean(-1)
