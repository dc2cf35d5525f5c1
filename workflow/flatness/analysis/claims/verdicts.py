"""Verdicts: on which side of a threshold a whole interval lies.

The thresholds follow from the wording of a sentence, by conventions that are the same for all
claims and were fixed before the runs at the paper's settings were made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
UNDECIDED = "undecided"
NOT_TESTABLE = "not testable"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, UNDECIDED, NOT_TESTABLE)

# Sentences with a direction: "lower", "rises", "positively", "better than".
DIRECTION = 0.0
# "Correlates well", "strongly", "together": a coefficient of at least this.
CORRELATES = 0.5
# "Almost the same quantity", "closely follows", "the same pattern": a coefficient of at least this.
NEARLY_THE_SAME = 0.9
# "Quickly", "not explained by" and "much more slowly" speak of a share: the larger half of it.
HALF = 0.5
# "Stops falling": a change of less than this share.
STILL = 0.1


@dataclass(frozen=True)
class Rule:
    """The side of a threshold on which a claim puts its statistic."""

    sign: Literal[">", ">=", "<"]
    threshold: float

    def holds(self, value: float) -> bool:
        """Whether one value fulfils it."""
        return {
            ">": value > self.threshold,
            ">=": value >= self.threshold,
            "<": value < self.threshold,
        }[self.sign]

    def __str__(self) -> str:
        """As in a table, such as "> 0"."""
        return f"{self.sign} {self.threshold:g}"


def verdict(low: float, high: float, rule: Rule) -> str:
    """What the interval [low, high] says of a rule.

    reproduced: every value of the interval fulfils the rule. not reproduced: every value
    lies beyond the threshold on the other side. undecided: neither. not testable: an end
    is NaN.
    """
    if low != low or high != high:
        return NOT_TESTABLE
    if rule.holds(low) and rule.holds(high):
        return REPRODUCED
    contradicted = low > rule.threshold if rule.sign == "<" else high < rule.threshold
    return NOT_REPRODUCED if contradicted else UNDECIDED


def joint(verdicts: Sequence[str]) -> str:
    """What is said of a sentence that makes several conditions, from the verdict on each.

    reproduced: all of them are. not reproduced: one of them is not. not testable: neither, and one
    of them is not testable. undecided: otherwise.
    """
    if all(each == REPRODUCED for each in verdicts):
        return REPRODUCED
    for word in (NOT_REPRODUCED, NOT_TESTABLE):
        if word in verdicts:
            return word
    return UNDECIDED
