"""Statistics of the chain A <= B <= C <= D for the maximum local sensitivity (Eq. 28)."""

from dataclasses import dataclass

import numpy as np

from flatness.analysis.claims.curves import Curves, NotCountedError, Phase
from flatness.analysis.claims.statistic import MeanOverRuns, Observed, Statistic
from flatness.analysis.rounding import ROUNDING, log10_rounding

CHAIN = ("a_b", "b_c", "c_d")
# The larger and the smaller side of each step.
_SIDES = {
    "a_b": ("mls_bound_b", "mls"),
    "b_c": ("mls_bound_c", "mls_bound_b"),
    "c_d": ("mls_bound_d", "mls_bound_c"),
}


@dataclass(frozen=True)
class SmallestSlack(Statistic):
    """The least slack over inequalities, checkpoints and runs.

    An inequality holds or it does not, so the interval is not one over draws of seeds: it
    reaches from the slack to the slack plus what rounding may have taken from it.
    """

    fewest_seeds = 1
    names = ()

    @property
    def words(self) -> str:
        return (
            f"smallest log10(right / left) over {', '.join(CHAIN)}, all checkpoints and runs, "
            "train samples; interval: from it to it plus the rounding "
            f"log10(1 + {ROUNDING} eps), eps of the run's dtype"
        )

    def observe(self, curves: Curves) -> tuple[float, ...]:
        """The least slack of one run, and its rounding."""
        smallest = min(float(curves.slack(name).min()) for name in CHAIN)
        return smallest, log10_rounding(curves.run.dtype)

    def combine(self, observed: Observed, drawn: np.ndarray) -> np.ndarray:
        """The least slack of the runs drawn."""
        return np.where(drawn > 0, observed.numbers[:, 0], np.inf).min(1)

    def interval(
        self, observed: Observed, together: np.ndarray, confidence: float, bootstrap_draws: int
    ) -> tuple[float, float]:
        """The least slack, and the least after each run's rounding is added to its slack."""
        return float(observed.numbers[:, 0].min()), float(observed.numbers.sum(1).min())


def _gap(curves: Curves, step: str) -> np.ndarray:
    """How far one step of the chain is, over the evenly spaced checkpoints."""
    larger, smaller = (curves.over(Phase.TRAINING, name) for name in _SIDES[step])
    return larger - smaller


def _formula(step: str) -> str:
    return f"({' - '.join(_SIDES[step])})"


@dataclass(frozen=True)
class GapDifference(MeanOverRuns):
    """By how much one step of the chain is wider than another, on a linear axis."""

    wider: str
    narrower: str

    @property
    def names(self) -> tuple[str, ...]:
        """Both sides of both steps."""
        return tuple(dict.fromkeys(_SIDES[self.wider] + _SIDES[self.narrower]))

    @property
    def one_run(self) -> str:
        return (
            f"{_formula(self.wider)} - {_formula(self.narrower)}, mean over "
            f"{Phase.TRAINING.value}, train samples"
        )

    def of(self, curves: Curves) -> float:
        """The mean difference of one run."""
        return float((_gap(curves, self.wider) - _gap(curves, self.narrower)).mean())


@dataclass(frozen=True)
class GapRatio(MeanOverRuns):
    """How many times as wide one step of the chain is as another."""

    wider: str
    narrower: str
    names = ()

    @property
    def one_run(self) -> str:
        return (
            f"the mean of {_formula(self.wider)} over that of {_formula(self.narrower)}, "
            f"{Phase.TRAINING.value}"
        )

    def of(self, curves: Curves) -> float:
        """The ratio of one run's mean gaps."""
        narrower = _gap(curves, self.narrower).mean()
        if narrower <= 0:
            raise NotCountedError(f"the gap {_formula(self.narrower)} is not positive")
        return float(_gap(curves, self.wider).mean() / narrower)
