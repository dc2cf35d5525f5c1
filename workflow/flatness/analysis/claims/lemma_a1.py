"""Statistics of Lemma A.1: the trace of the Hessian nears the sharpness.

Where the trace is an estimate, every checkpoint counts as it is, also one whose gap
is smaller than two standard errors of the estimate: there the gap is mostly noise and,
being an absolute value, on average too large, which speaks against the claim; to leave
such checkpoints out would be to choose by the result.
"""

from dataclasses import dataclass

import numpy as np

from flatness.analysis.claims.curves import Curves, NotCountedError, Phase
from flatness.analysis.claims.statistic import MeanOverRuns
from flatness.analysis.claims.trends import RankCorrelation

VANISHES = (
    "hessian_gap is exactly zero at every checkpoint, so there is nothing to approach: the network "
    "is piecewise linear in each layer's parameters, and its second derivatives vanish"
)


@dataclass(frozen=True)
class GapFollowsResidual(RankCorrelation):
    """Spearman's coefficient of the gap and the residual over checkpoints, mean over runs."""

    first: str = "hessian_gap"
    second: str = "mean_residual_norm"
    phase: Phase = Phase.ALL

    def of(self, curves: Curves) -> float:
        """The coefficient of one run."""
        _gap(curves)
        return super().of(curves)


@dataclass(frozen=True)
class RelativeGapChange(MeanOverRuns):
    """log10 of the gap relative to the sharpness at the end over that at the start."""

    rests_on_final = True
    names = ("hessian_gap", "sharpness")

    @property
    def one_run(self) -> str:
        return (
            "log10 of final hessian_gap / final sharpness over hessian_gap / sharpness at the "
            "first checkpoint, train samples"
        )

    def of(self, curves: Curves) -> float:
        """The logarithm of one run's ratio."""
        _gap(curves)
        ends = {name: (curves.over(Phase.ALL, name)[0], curves.final(name)) for name in self.names}
        for name, values in ends.items():
            if min(values) <= 0:
                raise NotCountedError(f"{name} is zero at the start or at the end")
        first, last = (gap / sharpness for gap, sharpness in zip(*ends.values(), strict=True))
        return float(np.log10(last / first))


def _gap(curves: Curves) -> np.ndarray:
    gap = curves.over(Phase.ALL, "hessian_gap")
    if not gap.any():
        raise NotCountedError(VANISHES)
    return gap
