"""Statistics of the chain A <= B <= C <= D for the maximum local sensitivity (Eq. 28)."""

from dataclasses import dataclass

import numpy as np

from flatness.analysis.claims.curves import Curves, NotCountedError
from flatness.analysis.claims.measures import MeanOverRuns, Measure

CHAIN = ("a_b", "b_c", "c_d")
# Both sides of an inequality are sums over many terms in the network's dtype: they may be off
# by so many times its relative precision.
RELATIVE_ROUNDING = 100


@dataclass(frozen=True)
class SmallestSlack(Measure):
    """The least slack over inequalities, checkpoints and runs.

    An inequality holds or it does not, so the interval is not one over draws of runs: it
    reaches from the slack to the slack plus what rounding may have taken from it.
    """

    fewest_for_interval = 1

    @property
    def words(self) -> str:
        return (
            f"smallest log10(right / left) over {', '.join(CHAIN)}, all checkpoints and runs, "
            "train samples; interval: from it to it plus the rounding "
            f"log10(1 + {RELATIVE_ROUNDING} eps), eps of the run's dtype"
        )

    def observe(self, curves: Curves) -> tuple[float, ...]:
        """The least slack of one run, and its rounding."""
        smallest = min(float(curves.slack(name).min()) for name in CHAIN)
        rounding = np.log10(1 + RELATIVE_ROUNDING * float(np.finfo(curves.dtype).eps))
        return smallest, float(rounding)

    def combine(self, observed: np.ndarray) -> np.ndarray:
        """The least slack of all runs."""
        return observed[..., 0].min(-1)

    def interval(
        self, observed: np.ndarray, confidence: float, resamples: int
    ) -> tuple[float, float]:
        """The least slack, and the least after each run's rounding is added to its slack."""
        return float(observed[:, 0].min()), float(observed.sum(-1).min())


@dataclass(frozen=True)
class GapDifference(MeanOverRuns):
    """By how many decades one step of the chain is wider than another."""

    wider: str
    narrower: str

    @property
    def one_run(self) -> str:
        return (
            f"mean over all checkpoints of slack({self.wider}) - slack({self.narrower}), "
            "slack = log10(right / left), train samples"
        )

    def of(self, curves: Curves) -> float:
        """The mean difference of one run."""
        slacks = [curves.slack(name) for name in (self.wider, self.narrower)]
        if not np.isfinite(slacks).all():
            raise NotCountedError(f"the slack of {self.wider} or {self.narrower} is infinite")
        return float((slacks[0] - slacks[1]).mean())
