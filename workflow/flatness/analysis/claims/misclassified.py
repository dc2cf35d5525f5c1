"""Statistics of one run: its misclassified test samples beside all test samples."""

from dataclasses import dataclass

import numpy as np

from flatness.analysis.claims.curves import Curves, NotCountedError
from flatness.analysis.claims.statistic import MeanOverRuns


@dataclass(frozen=True)
class LogRatio(MeanOverRuns):
    """log10 of a quantity on misclassified samples over that on all test samples, at the end."""

    name: str
    rests_on_final = True

    @property
    def names(self) -> tuple[str, ...]:
        """The quantity."""
        return (self.name,)

    @property
    def one_run(self) -> str:
        return f"final log10({self.name} on misclassified / {self.name} on test samples)"

    def of(self, curves: Curves) -> float:
        """The logarithm of one run's ratio."""
        misclassified, test = _pair(curves, self.name)
        if misclassified <= 0 or test <= 0:
            raise NotCountedError(f"{self.name} is zero at the end")
        return float(np.log10(misclassified / test))


@dataclass(frozen=True)
class Difference(MeanOverRuns):
    """A quantity on misclassified samples minus that on all test samples, at the end."""

    name: str
    rests_on_final = True

    @property
    def names(self) -> tuple[str, ...]:
        """The quantity."""
        return (self.name,)

    @property
    def one_run(self) -> str:
        return f"final {self.name} on misclassified - {self.name} on test samples"

    def of(self, curves: Curves) -> float:
        """The difference of one run."""
        misclassified, test = _pair(curves, self.name)
        return misclassified - test


def _pair(curves: Curves, name: str) -> tuple[float, float]:
    if not curves.at(curves.end(), "misclassified_total").all():
        raise NotCountedError("no test sample is misclassified at a checkpoint of the end")
    return curves.final(name, "misclassified"), curves.final(name, "test")
