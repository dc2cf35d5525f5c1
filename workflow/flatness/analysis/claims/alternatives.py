"""What the verdicts would be under other choices: the sensitivity of every part."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.claims.judging import NUMBERS, SECOND, Options, judge, row_of, tested
from flatness.analysis.claims.part import Part
from flatness.analysis.claims.reading import Reading
from flatness.analysis.claims.the_claims import PARTS
from flatness.analysis.claims.verdicts import NOT_TESTABLE
from flatness.analysis.statistics import FEWEST_FOR_INTERVAL

# Of the five seeds, those that the paper's 20 networks are set against.
SEEDS_OF_20 = (0, 1, 2, 3)
BEFORE_LAST_LAYER = "sqrt_sharpness_before_last_layer"
# All that sharpness enters.
_OF_SHARPNESS = ("sharpness", "sqrt_sharpness", "mls_bound_d")
DOES_NOT_APPLY = "does not apply"
NOT_IN_FILE = "not in the analysed files"
NO_OTHER_SEEDS = "the study has no other seeds"


@dataclass(frozen=True)
class Alternative:
    """One choice that is made otherwise.

    Args:
        name: as in a table.
        words: in a sentence.
        reading: how runs are read then.
        concerns: whether it can change anything for a part.
    """

    name: str
    words: str
    reading: Reading
    concerns: Callable[[Part], bool]


def _reads(*names: str) -> Callable[[Part], bool]:
    return lambda part: any(set(names) & set(each.statistic.names) for each in part.conditions)


ALTERNATIVES: tuple[Alternative, ...] = (
    Alternative(
        "three largest",
        "log volume of the three largest singular values, as the authors' code sums it",
        Reading(log_volume="log_volume_top3"),
        _reads("log_volume"),
    ),
    Alternative(
        "last checkpoint",
        "final values of the last checkpoint in the place of means over the last fifth",
        Reading(last_checkpoint=True),
        lambda part: any(each.statistic.rests_on_final for each in part.conditions),
    ),
    Alternative(
        "interpolating only",
        "runs that never interpolate do not count",
        Reading(only_interpolating=True),
        lambda part: not all(each.statistic.only_late for each in part.conditions),
    ),
    Alternative(
        "Spearman",
        "Spearman's coefficient across runs in the place of Pearson's",
        Reading(ranks=True),
        lambda part: any(each.statistic.rests_on_pearson for each in part.conditions),
    ),
    Alternative(
        "without last layer",
        "sharpness without the share of the last linear layer's weight and bias",
        Reading(without_last_layer=True),
        _reads(*_OF_SHARPNESS),
    ),
    Alternative(
        "20 runs",
        "runs of the seeds 0 to 3 only, 20 with five settings",
        Reading(seeds=SEEDS_OF_20),
        lambda part: True,
    ),
)
SENSITIVITY_COLUMNS = (
    "claim",
    "part",
    "network",
    "alternative",
    "verdict",
    *NUMBERS,
    *(f"{SECOND}{name}" for name in NUMBERS),
    "n",
    "seeds",
    "changes",
    "note",
)


def sensitivity(
    studies: Mapping[str, Sequence[AnalysedRun]],
    claims: pd.DataFrame,
    *,
    interpolation_accuracy: float,
    confidence: float,
    bootstrap_draws: int,
    parts: Sequence[Part] = PARTS,
) -> pd.DataFrame:
    """Every part under every alternative.

    Args:
        studies: by role, as for `judge`.
        claims: what `judge` gives for these.
        interpolation_accuracy: as there.
        confidence: as there.
        bootstrap_draws: as there.
        parts: as there.

    Returns:
        One row for each part and alternative, with the columns `SENSITIVITY_COLUMNS`. verdict is
        empty where note says why there is none, and as it is where the study has no other seeds.
        changes is 1 where the two verdicts differ, else 0, also where the alternative leaves
        too few seeds for a verdict.
    """
    judged = claims.set_index(["claim", "part", "network"])
    rows = []
    for part in tested(parts, studies):
        key = {"claim": part.claim, "part": part.part, "network": part.role}
        before = judged.loc[tuple(key.values())]
        for alternative in ALTERNATIVES:
            row = key | {"alternative": alternative.name, "verdict": "", "changes": 0}
            row["note"] = _note(part, studies[part.role], alternative)
            if row["note"] in ("", NO_OTHER_SEEDS):
                options = Options(
                    interpolation_accuracy, confidence, bootstrap_draws, alternative.reading
                )
                found = row_of(part, studies[part.role], options)
                row = found | row | {"verdict": found["verdict"]}
                few = row["verdict"] == NOT_TESTABLE and row["seeds"] < FEWEST_FOR_INTERVAL
                row["changes"] = int(row["verdict"] != before["verdict"] and not few)
            rows.append(row)
    return pd.DataFrame(rows, columns=list(SENSITIVITY_COLUMNS))


def judge_with_sensitivity(
    studies: Mapping[str, Sequence[AnalysedRun]],
    *,
    interpolation_accuracy: float,
    confidence: float,
    bootstrap_draws: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The claims as `with_sensitivity` gives them, and what `sensitivity` gives.

    Args:
        studies: by role, as for `judge`.
        interpolation_accuracy: as there.
        confidence: as there.
        bootstrap_draws: as there.
    """
    options = {
        "interpolation_accuracy": interpolation_accuracy,
        "confidence": confidence,
        "bootstrap_draws": bootstrap_draws,
    }
    claims = judge(studies, **options)
    found = sensitivity(studies, claims, **options)
    return with_sensitivity(claims, found), found


def with_sensitivity(claims: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """The claims with the alternatives that change each verdict, in the column sensitive_to.

    There they are a list, as JSON; the cell is empty where there is none. See `sensitive_to`.

    Args:
        claims: from `judge`.
        found: from `sensitivity`, for the same parts.
    """
    keys = ["claim", "part", "network"]
    changed = (
        found[found["changes"] == 1]
        .groupby(keys)["alternative"]
        .agg(lambda names: json.dumps(list(names)))
    )
    names = pd.MultiIndex.from_frame(claims[keys])
    return claims.assign(sensitive_to=changed.reindex(names, fill_value="").to_numpy())


def sensitive_to(cell: object) -> list[str]:
    """The alternatives in a cell of the column of that name.

    Args:
        cell: as it is, or read back from a CSV file; those of earlier versions have semicolons
            between names.
    """
    if not isinstance(cell, str) or not cell:  # an empty cell of a CSV file is read as NaN
        return []
    return json.loads(cell) if cell.startswith("[") else cell.split("; ")


def _note(part: Part, study: Sequence[AnalysedRun], alternative: Alternative) -> str:
    """Why there is no verdict, or why it is as it is."""
    if not alternative.concerns(part):
        return DOES_NOT_APPLY
    reading = alternative.reading
    if reading.without_last_layer and any(BEFORE_LAST_LAYER not in run for run in study):
        return NOT_IN_FILE
    if study and reading.seeds and all(run.seed in reading.seeds for run in study):
        return NO_OTHER_SEEDS
    return ""
