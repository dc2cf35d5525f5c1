"""Every part of every claim applied to the runs of a study."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.claims.outcomes import Outcome, outcome
from flatness.analysis.claims.part import Part
from flatness.analysis.claims.reading import AS_JUDGED, Reading
from flatness.analysis.claims.the_claims import PARTS
from flatness.analysis.claims.verdicts import Rule, joint, verdict

# What a condition has for numbers; the second condition's have a prefix.
NUMBERS = ("value", "low", "high", "settings_low", "settings_high")
SECOND = "second_"
COLUMNS = (
    "claim",
    "part",
    "network",
    "statement",
    "statistic",
    *NUMBERS,
    "n",
    "seeds",
    "seeds_held",
    "threshold",
    "comparison",
    *(f"{SECOND}{name}" for name in (*NUMBERS, "threshold", "comparison")),
    "verdict",
    "reason",
    "remarks",
    "figure",
    "sensitive_to",
    "used",
    "left_out",
)


@dataclass(frozen=True)
class Options:
    """How statistics become verdicts.

    Args:
        interpolation_accuracy: training accuracy with which a run's late phase begins.
        confidence: level of the bootstrap intervals, between 0 and 1.
        bootstrap_draws: number of the bootstrap's draws.
        reading: how the runs are read.
    """

    interpolation_accuracy: float
    confidence: float
    bootstrap_draws: int
    reading: Reading = AS_JUDGED


def judge(
    studies: Mapping[str, Sequence[AnalysedRun]],
    *,
    interpolation_accuracy: float,
    confidence: float,
    bootstrap_draws: int,
    parts: Sequence[Part] = PARTS,
) -> pd.DataFrame:
    """Test every part of every claim about a role that a study plays.

    Args:
        studies: by role, see `flatness.settings.roles`, all analysed runs of the study that plays
            it; there may be none. A role that is left out has no rows.
        interpolation_accuracy: training accuracy with which a run's late phase begins.
        confidence: level of the bootstrap intervals over seeds, between 0 and 1.
        bootstrap_draws: number of the bootstrap's draws.
        parts: those that are tested, if their role is played.

    Returns:
        One row for each of these parts, with the columns `COLUMNS`: claim and part name it together
        with network; statement is the paper's sentence in our words; statistic is what was
        computed; value, low and high are the statistic and its interval over seeds, NaN where
        there is none, settings_low and settings_high that over settings; threshold and comparison
        are the rule. A part with two conditions has all of these for the second, too. n and seeds
        are the numbers of runs and seeds that count, the smaller ones of two conditions; seeds_held
        is the number of seeds that alone fulfil what is claimed, the whole of it, missing where
        one seed alone has no value. verdict
        is one of `verdicts.VERDICTS`; reason says why a part is not testable and how many runs do
        not count; remarks is what else is to be known; figure is the target that shows it;
        sensitive_to names the alternatives that change the verdict (see `alternatives`), here
        none. used and left_out are JSON: a list of the runs that count, with two conditions for
        both, and by the reason those that do not count for one of them.
    """
    options = Options(interpolation_accuracy, confidence, bootstrap_draws)
    rows = [row_of(part, studies[part.role], options) for part in tested(parts, studies)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seeds_held": "Int64"})


def tested(parts: Sequence[Part], roles: Collection[str]) -> list[Part]:
    """The parts about the roles that are played."""
    return [part for part in parts if part.role in roles]


def row_of(part: Part, study: Sequence[AnalysedRun], options: Options) -> dict[str, object]:
    """One part, applied to the runs of its network's study."""
    seeds = options.reading.seeds
    study = [run for run in study if seeds is None or run.seed in seeds]
    runs, which, levels = [], part.runs.words, ""
    if study:
        runs, which, levels = part.runs.of(study, options.interpolation_accuracy)
    found = [outcome(condition.statistic, runs, **vars(options)) for condition in part.conditions]
    reasons = [levels, *_reasons(found)]
    if not study:
        reasons = [f"The study that stands for {part.role} has no runs."]
    row = {
        "claim": part.claim,
        "part": part.part,
        "network": part.role,
        "statement": part.statement,
        "statistic": f"{part.statistic}; {which}",
        "n": min(each.runs for each in found),
        "seeds": min(each.seeds for each in found),
        "seeds_held": _held(part, found),
        "verdict": joint(
            [
                verdict(each.low, each.high, condition.rule)
                for each, condition in zip(found, part.conditions, strict=True)
            ]
        ),
        "reason": " ".join(dict.fromkeys(filter(None, reasons))),
        "remarks": " ".join(_remarks(part, runs, found, options)),
        "figure": part.figure,
        "sensitive_to": "",
        "used": json.dumps(_used_in_all(found)),
        "left_out": json.dumps(_left_out_of_any(found)),
    } | _without_second()
    for prefix, each, condition in zip(("", SECOND), found, part.conditions, strict=False):
        numbers = {f"{prefix}{name}": getattr(each, name) for name in NUMBERS}
        row |= numbers | _rule(prefix, condition.rule)
    return row


def _reasons(found: Sequence[Outcome]) -> list[str]:
    """What is to be known of each condition; which one, where there are two and it is not both."""
    if len(found) == 1:
        return list(found[0].reasons)
    return [
        reason
        if all(reason in other.reasons for other in found)
        else f"{which} condition: {reason}"
        for which, each in zip(("First", "Second"), found, strict=True)
        for reason in each.reasons
    ]


def _used_in_all(found: Sequence[Outcome]) -> list[str]:
    """The runs that count for every condition."""
    first, *others = found
    return [run for run in first.used if all(run in each.used for each in others)]


def _left_out_of_any(found: Sequence[Outcome]) -> dict[str, list[str]]:
    """By the reason, the runs that do not count for some condition."""
    left_out: dict[str, list[str]] = {}
    for each in found:
        for why, runs in each.left_out.items():
            known = left_out.setdefault(why, [])
            known += [run for run in runs if run not in known]
    return left_out


def _rule(prefix: str, rule: Rule) -> dict[str, object]:
    return {f"{prefix}threshold": rule.threshold, f"{prefix}comparison": str(rule)}


def _without_second() -> dict[str, object]:
    numbers = {f"{SECOND}{name}": np.nan for name in (*NUMBERS, "threshold")}
    return numbers | {f"{SECOND}comparison": ""}


def _remarks(
    part: Part, runs: Sequence[AnalysedRun], found: Sequence[Outcome], options: Options
) -> list[str]:
    """What the row says beside the result, a sentence each."""
    sentences = [part.remark] if part.remark else []
    if part.tells_interpolating and runs:
        reached = sum(run.interpolates(options.interpolation_accuracy) for run in runs)
        sentences.append(f"{reached} of {len(runs)} runs interpolate.")
    alone = _seeds_alone(found)
    if alone and any(np.isnan(each.low) for each in found):
        seeds = "seed" if len(alone) == 1 else "seeds"
        sentences.append(f"As claimed: {_held(part, found)} of {len(alone)} {seeds}.")
    for beside in part.beside if runs else ():
        number = outcome(beside.statistic, runs, **vars(options))
        sentences.append(_beside(beside.words, number))
    return sentences


def _seeds_alone(found: Sequence[Outcome]) -> set[int]:
    """The seeds for which alone the statistic of each condition is defined."""
    return set.intersection(*(set(each.by_seed) for each in found))


def _held(part: Part, found: Sequence[Outcome]) -> int | None:
    """How many seeds alone fulfil all conditions; None if the statistics need several."""
    seeds = _seeds_alone(found)
    if not seeds:
        return None
    return sum(
        all(
            condition.rule.holds(each.by_seed[seed])
            for condition, each in zip(part.conditions, found, strict=True)
        )
        for seed in seeds
    )


def _beside(words: str, number: Outcome) -> str:
    if np.isnan(number.value):
        return f"{_sentence(words)}: not defined. {' '.join(number.reasons)}".strip()
    ends = "" if np.isnan(number.low) else f" [{number.low:.3g}, {number.high:.3g}]"
    return f"{_sentence(words)}: {number.value:.3g}{ends}."


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]
