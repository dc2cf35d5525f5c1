"""Which runs of a study a claim speaks of.

Which value of the other setting is fixed rests on settings alone, so that no result, not even a run
that diverged, takes part in the choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.groups import by_value


@dataclass(frozen=True)
class Selection:
    """All runs, or those that share one setting while another differs.

    Args:
        compared: the setting whose effect is looked at, or "" for all runs.
        fixed: the setting that these runs share. Its value is the one with the most
            different values of `compared`, of these the one with the most runs, of these
            the smallest.
        only: the one value of `compared` that is looked at, if it is one.
        interpolating: whether a value of `compared` counts only if at least half of its runs
            interpolate, those that diverged among them.
    """

    compared: str = ""
    fixed: str = ""
    only: float | None = None
    interpolating: bool = False

    @property
    def words(self) -> str:
        """Which runs."""
        if not self.fixed:
            return "all runs"
        fixed, compared = (name.replace("_", " ") for name in (self.fixed, self.compared))
        words = f"runs at the {fixed} with the most {compared}s"
        if self.only is not None:
            words = f"runs of {compared} {self.only:g} at the {fixed} with the most {compared}s"
        if self.interpolating:
            words += f", each {compared} of which at least half of the runs interpolate"
        return words

    def of(
        self, runs: Sequence[AnalysedRun], interpolation_accuracy: float
    ) -> tuple[list[AnalysedRun], str, str]:
        """The runs, which these are in words, and which values do not count, "" where all do."""
        if not self.fixed:
            return list(runs), self.words, ""
        groups = by_value(runs, self.fixed)

        def spread(value: float) -> tuple[int, int]:
            return len(by_value(groups[value], self.compared)), len(groups[value])

        chosen = max(groups, key=spread)
        levels = by_value(groups[chosen], self.compared)
        if self.only is not None:
            levels = {value: of for value, of in levels.items() if value == self.only}
        reached = {
            value: sum(run.interpolates(interpolation_accuracy) for run in of)
            for value, of in levels.items()
        }
        left_out = [
            f"{value:g} ({reached[value]} of {len(of)} runs interpolate)"
            for value, of in levels.items()
            if self.interpolating and 2 * reached[value] < len(of)
        ]
        kept = [
            run
            for value, of in levels.items()
            if not self.interpolating or 2 * reached[value] >= len(of)
            for run in of
        ]
        compared = self.compared.replace("_", " ")
        words = f"{self.words} ({self.fixed.replace('_', ' ')} {chosen:g})"
        if self.only is not None and not levels:
            return kept, words, f"No run of {compared} {self.only:g}."
        return kept, words, f"Not counted, {compared} {', '.join(left_out)}." if left_out else ""


ALL_RUNS = Selection()
LEARNING_RATES = Selection(compared="learning_rate", fixed="batch_size")
BATCH_SIZES = Selection(compared="batch_size", fixed="learning_rate")
LEARNING_RATES_THAT_INTERPOLATE = replace(LEARNING_RATES, interpolating=True)
BATCH_SIZES_THAT_INTERPOLATE = replace(BATCH_SIZES, interpolating=True)
BATCH_OF_32 = replace(BATCH_SIZES_THAT_INTERPOLATE, only=32)
