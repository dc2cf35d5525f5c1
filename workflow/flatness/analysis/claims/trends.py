"""Statistics of one run: how its quantities change together, and over training."""

from dataclasses import dataclass

import numpy as np

from flatness.analysis.claims.coefficients import spearman
from flatness.analysis.claims.curves import Curves, NotCountedError, Phase
from flatness.analysis.claims.measures import MeanOverRuns


@dataclass(frozen=True)
class RankCorrelation(MeanOverRuns):
    """Spearman's coefficient of two variables over checkpoints, mean over runs.

    Args:
        squared: the share of the ranks' variance that one explains of the other.
    """

    first: str
    second: str
    phase: Phase = Phase.ALL
    sample_set: str = "train"
    squared: bool = False

    @property
    def one_run(self) -> str:
        coefficient = f"Spearman rho({self.first}, {self.second})"
        if self.squared:
            coefficient += "^2"
        return f"{coefficient} over {self.phase.value}, {self.sample_set} samples"

    def of(self, curves: Curves) -> float:
        """The coefficient of one run."""
        pair = []
        for name in (self.first, self.second):
            values = curves.over(self.phase, name, self.sample_set)
            if np.ptp(values) == 0:
                raise NotCountedError(f"{name} is constant over {self.phase.value}")
            pair.append(values)
        coefficient = float(spearman(*pair))
        return coefficient**2 if self.squared else coefficient


@dataclass(frozen=True)
class EarlyFall(MeanOverRuns):
    """How much of a quantity's largest fall below its start comes early in training.

    max over t <= T / 10 of (q(0) - q(t)), divided by the maximum over all t; T is the
    number of iterations. 0 where the quantity never falls below its start.
    """

    name: str

    @property
    def one_run(self) -> str:
        return (
            f"the largest fall of {self.name} below its start within the first tenth of the "
            "iterations, divided by the largest fall at all (0 without a fall), train samples"
        )

    def of(self, curves: Curves) -> float:
        """The share of one run, between 0 and 1."""
        values = curves.over(Phase.ALL, self.name)
        falls = values[0] - values
        early = falls[curves.iteration <= curves.settings["iterations"] / 10]
        if len(early) < 2:
            raise NotCountedError("there is no checkpoint in the first tenth after the start")
        return float(early.max() / falls.max()) if falls.max() > 0 else 0.0
