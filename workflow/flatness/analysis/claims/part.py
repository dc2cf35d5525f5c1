"""What one part of a claim is made of, and the rules that claims are judged by."""

from dataclasses import dataclass

from flatness.analysis.claims.selection import ALL_RUNS, Selection
from flatness.analysis.claims.statistic import Statistic
from flatness.analysis.claims.verdicts import (
    CORRELATES,
    DIRECTION,
    HALF,
    NEARLY_THE_SAME,
    STILL,
    Rule,
)

RISES = Rule(">", DIRECTION)
FALLS = Rule("<", DIRECTION)
HOLDS = Rule(">=", DIRECTION)
CORRELATED = Rule(">=", CORRELATES)
SAME = Rule(">=", NEARLY_THE_SAME)
MOST = Rule(">=", HALF)
LESS_THAN_HALF = Rule("<", HALF)
HARDLY_CHANGES = Rule("<", STILL)


@dataclass(frozen=True)
class Condition:
    """A statistic, and what it must fulfil."""

    statistic: Statistic
    rule: Rule


@dataclass(frozen=True)
class Beside:
    """A number that stands in the remarks and decides nothing."""

    words: str
    statistic: Statistic


@dataclass(frozen=True)
class Part:
    """One sentence of a claim, and how it is tested.

    Args:
        claim: its number, 1 to 10.
        part: its letter; with the claim and the network it names the part.
        role: of the study that it is tested on, one of `flatness.settings.roles`.
        statement: the paper's sentence in our words.
        place: where the paper says so.
        conditions: one, or two that must both hold.
        figure: the target that shows it.
        runs: which runs it speaks of.
        remark: what its row says beside the result.
        caveat: what else the verdict does not say.
        beside: further numbers for the remarks.
        tells_interpolating: whether its row says how many runs interpolate.
    """

    claim: int
    part: str
    role: str
    statement: str
    place: str
    conditions: tuple[Condition, ...]
    figure: str
    runs: Selection = ALL_RUNS
    remark: str = ""
    caveat: str = ""
    beside: tuple[Beside, ...] = ()
    tells_interpolating: bool = False

    @property
    def name(self) -> str:
        """Such as "7e"."""
        return f"{self.claim}{self.part}"

    @property
    def statistic(self) -> str:
        """What is computed."""
        words = [condition.statistic.words for condition in self.conditions]
        return words[0] if len(words) == 1 else f"first: {words[0]}; second: {words[1]}"

    @property
    def claimed(self) -> str:
        """What the statistic, or each of both, must fulfil."""
        return "; ".join(str(condition.rule) for condition in self.conditions)
