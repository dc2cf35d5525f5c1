"""Verdicts: on which side of a threshold a whole interval lies.

The thresholds follow from the wording of a sentence, by four conventions that are the
same for all claims and were fixed before the studies' results were looked at.
"""

from dataclasses import dataclass
from typing import Literal

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
UNDECIDED = "undecided"
NOT_TESTABLE = "not testable"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, UNDECIDED, NOT_TESTABLE)

# Sentences with a direction: "lower", "rises", "positively", "better than".
DIRECTION = 0.0
# "Correlates", "correlates well", "together": a coefficient of at least this.
CORRELATES = 0.5
# "Almost the same quantity", "closely follows": a coefficient of at least this.
NEARLY_THE_SAME = 0.9
# "Quickly" and "not explained by" speak of a share: the larger half of it.
HALF = 0.5


@dataclass(frozen=True)
class Rule:
    """The side of a threshold on which a claim puts its statistic."""

    sign: Literal[">", ">=", "<"]
    threshold: float

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
    fulfilled = {
        ">": low > rule.threshold,
        ">=": low >= rule.threshold,
        "<": high < rule.threshold,
    }
    contradicted = low > rule.threshold if rule.sign == "<" else high < rule.threshold
    if fulfilled[rule.sign]:
        return REPRODUCED
    return NOT_REPRODUCED if contradicted else UNDECIDED
