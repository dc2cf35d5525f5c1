"""Which runs of a study a claim speaks of.

The choice rests on settings alone, so that no result, not even a run that diverged,
takes part in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import xarray as xr

from flatness.analysis.seeds import grouped


@dataclass(frozen=True)
class Selection:
    """All runs, or those that share one setting while another differs.

    Args:
        compared: the setting whose effect is looked at, or "" for all runs.
        fixed: the setting that these runs share. Its value is the one with the most
            different values of `compared`, of these the one with the most runs, of these
            the smallest.
    """

    compared: str = ""
    fixed: str = ""

    @property
    def words(self) -> str:
        """Which runs."""
        if not self.fixed:
            return "all runs"
        fixed, compared = (name.replace("_", " ") for name in (self.fixed, self.compared))
        return f"runs at the {fixed} with the most {compared}s"

    def of(self, runs: Sequence[xr.Dataset]) -> tuple[list[xr.Dataset], str]:
        """The runs, and which these are in words."""
        if not self.fixed:
            return list(runs), self.words
        groups = grouped(runs, self.fixed)

        def spread(value: float) -> tuple[int, int]:
            return len(grouped(groups[value], self.compared)), len(groups[value])

        chosen = max(groups, key=spread)
        return groups[chosen], f"{self.words} ({chosen:g})"


ALL_RUNS = Selection()
LEARNING_RATES = Selection(compared="learning_rate", fixed="batch_size")
BATCH_SIZES = Selection(compared="batch_size", fixed="learning_rate")
