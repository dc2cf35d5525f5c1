"""Statistics of one run: how its quantities change together, and over training."""

from dataclasses import dataclass

import numpy as np

from flatness.analysis.claims.curves import Curves, NotCountedError, Phase
from flatness.analysis.claims.statistic import MeanOverRuns
from flatness.analysis.statistics import slope, spearman


@dataclass(frozen=True)
class RankCorrelation(MeanOverRuns):
    """Spearman's coefficient of two variables over checkpoints, mean over runs.

    Args:
        first, second: the two variables.
        phase: over which checkpoints.
        sample_set: where they are measured.
        second_set: where the second is measured, if elsewhere.
        squared: the share of the ranks' variance that one explains of the other.
    """

    first: str
    second: str
    phase: Phase = Phase.TRAINING
    sample_set: str = "train"
    second_set: str = ""
    squared: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Both, and what the phase is told by."""
        return self.first, self.second, *(["sqrt_sharpness"] if self.rests_on_final else [])

    @property
    def only_late(self) -> bool:
        """Whether runs that never interpolate have no such checkpoints."""
        return self.phase is Phase.LATE

    @property
    def rests_on_final(self) -> bool:
        """Whether the phase is told by a final value."""
        return self.phase is Phase.LEVEL

    @property
    def one_run(self) -> str:
        squared = "^2" if self.squared else ""
        if self.second_set:
            pair = (
                f"{self.first} on {self.sample_set} samples, {self.second} on {self.second_set} "
                "samples"
            )
            return f"Spearman rho({pair}){squared} over {self.phase.value}"
        return (
            f"Spearman rho({self.first}, {self.second}){squared} over {self.phase.value}, "
            f"{self.sample_set} samples"
        )

    def of(self, curves: Curves) -> float:
        """The coefficient of one run."""
        pair = []
        sets = (self.sample_set, self.second_set or self.sample_set)
        for name, sample_set in zip((self.first, self.second), sets, strict=True):
            values = curves.over(self.phase, name, sample_set)
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
    def names(self) -> tuple[str, ...]:
        """The quantity."""
        return (self.name,)

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
        early = falls[curves.iteration <= curves.run.iterations / 10]
        if len(early) < 2:
            raise NotCountedError("there is no checkpoint in the first tenth after the start")
        return float(early.max() / falls.max()) if falls.max() > 0 else 0.0


@dataclass(frozen=True)
class RelativeChange(MeanOverRuns):
    """How much a quantity changes over the last half of training, relative to its mean there.

    The size of the change of the straight line with the least squares: single checkpoints are
    noisy. Noise makes the size larger on average, which speaks against a claim that it is small.
    """

    name: str

    @property
    def names(self) -> tuple[str, ...]:
        """The quantity."""
        return (self.name,)

    @property
    def one_run(self) -> str:
        return (
            f"|change of the straight line fitted to {self.name}| / mean, over "
            f"{Phase.LAST_HALF.value}, train samples"
        )

    def of(self, curves: Curves) -> float:
        """The relative change of one run."""
        values = curves.over(Phase.LAST_HALF, self.name)
        iteration = curves.iteration[curves.checkpoints(Phase.LAST_HALF)]
        if values.mean() <= 0:
            raise NotCountedError(f"{self.name} is not positive")
        return float(np.abs(slope(iteration, values)) * np.ptp(iteration) / values.mean())


@dataclass(frozen=True)
class SlowerFall(MeanOverRuns):
    """How fast a quantity falls after sharpness has levelled off, relative to before.

    Rates are those of the straight lines with the least squares, per iteration. The checkpoint at
    which sharpness levels off belongs to both.
    """

    name: str
    rests_on_final = True

    @property
    def names(self) -> tuple[str, ...]:
        """The quantity, and what tells the two phases apart."""
        return self.name, "sqrt_sharpness"

    @property
    def one_run(self) -> str:
        return (
            f"the rate at which the straight line fitted to {self.name} falls since sqrt_sharpness "
            f"has levelled off, divided by that until then, {Phase.TRAINING.value}, train samples"
        )

    def of(self, curves: Curves) -> float:
        """The ratio of one run's two rates."""
        evenly, after = (curves.checkpoints(phase) for phase in (Phase.TRAINING, Phase.LEVEL))
        levelled = curves.iteration[after][0]
        rates = []
        for chosen in (evenly & (curves.iteration <= levelled), evenly & after):
            if chosen.sum() < 2:
                raise NotCountedError(
                    f"fewer than 2 {Phase.TRAINING.value} before or after sqrt_sharpness levels off"
                )
            rates.append(-slope(curves.iteration[chosen], curves.at(chosen, self.name)))
        if rates[0] <= 0:
            raise NotCountedError(f"{self.name} does not fall until sqrt_sharpness levels off")
        return float(rates[1] / rates[0])
