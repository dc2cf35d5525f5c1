"""The paper's claims against the measurements, with a verdict for each part."""

from collections.abc import Sequence

import pandas as pd
import xarray as xr

from flatness.analysis.claims.outcomes import outcome
from flatness.analysis.claims.the_claims import MLP, PARTS, VGG10
from flatness.analysis.claims.verdicts import verdict

COLUMNS = (
    *("claim", "part", "network", "statement", "statistic", "value", "low", "high", "n"),
    *("threshold", "comparison", "verdict", "reason", "figure"),
)


def judge(
    vgg10: Sequence[xr.Dataset],
    mlp: Sequence[xr.Dataset],
    *,
    interpolation_accuracy: float,
    confidence: float,
    resamples: int,
) -> pd.DataFrame:
    """Test every part of every claim.

    Args:
        vgg10: all analysed runs of the VGG10 study; empty where there is no such study.
        mlp: the same for the MLP study.
        interpolation_accuracy: training accuracy with which a run's late phase begins.
        confidence: level of the bootstrap intervals over runs, between 0 and 1.
        resamples: number of the bootstrap's draws.

    Returns:
        One row for each part, with the columns `COLUMNS`: claim and part name it together
        with network; statement is the paper's sentence in our words; statistic is what was
        computed; value, low and high are the statistic and its interval, NaN where there is
        none; n is the number of runs that count; threshold and comparison are the rule;
        verdict is one of `verdicts.VERDICTS`; reason says why a part is not testable and
        which runs do not count; figure is the target that shows it.
    """
    studies = {VGG10: vgg10, MLP: mlp}
    rows = []
    for part in PARTS:
        study = studies[part.network]
        runs, which = part.runs.of(study) if study else ([], part.runs.words)
        result = outcome(
            part.measure,
            runs,
            interpolation_accuracy=interpolation_accuracy,
            confidence=confidence,
            resamples=resamples,
        )
        no_study = f"The configuration names no study of {part.network}."
        rows.append(
            (
                *(part.claim, part.part, part.network, part.statement),
                f"{part.measure.words}; {which}",
                *(result.value, result.low, result.high, result.runs),
                *(part.rule.threshold, str(part.rule)),
                verdict(result.low, result.high, part.rule),
                *(result.reason if study else no_study, part.figure),
            )
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))
