"""The tables of claims of the runs of several files, in every form."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flatness.analysis.analysed_run import read_runs
from flatness.analysis.claims import judge_with_sensitivity
from flatness.analysis.groups import by_study
from flatness.publication.deviations import nature
from flatness.publication.paper import papers_settings
from flatness.tables.claim_files import write_claims


def judge_claims(
    analyses: Iterable[str | Path],
    folder: str | Path,
    *,
    roles: Mapping[str, str],
    settings: Mapping[str, Any],
    runs: Mapping[str, int],
    interpolation_accuracy: float,
    confidence: float,
    bootstrap_draws: int,
) -> None:
    """Test the claims, as they are and under other choices, and write the tables.

    Args:
        analyses: files of analysed runs.
        folder: where the tables go, see `write_claims`.
        roles: by role, the study that plays it.
        settings: what the configuration says of studies, datasets, measuring and analysis.
        runs: how many runs there are of each study.
        interpolation_accuracy: see `flatness.analysis.claims.judge`, as the others.
        confidence: see there.
        bootstrap_draws: see there.
    """
    studies = by_study(read_runs(analyses))
    verdicts, alternatives = judge_with_sensitivity(
        {role: studies.get(study, []) for role, study in roles.items()},
        interpolation_accuracy=interpolation_accuracy,
        confidence=confidence,
        bootstrap_draws=bootstrap_draws,
    )
    what = nature(settings, papers_settings().published(), runs).sentence
    write_claims(verdicts, alternatives, folder, nature=what)
