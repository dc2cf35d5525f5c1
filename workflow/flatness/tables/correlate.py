"""Correlation tables of the runs of several files, in every form."""

from collections.abc import Iterable
from pathlib import Path

from flatness.analysis.analysed_run import read_runs
from flatness.analysis.correlations import correlations
from flatness.analysis.groups import by_study
from flatness.tables.correlation_files import write_correlations


def correlate(
    analyses: Iterable[str | Path],
    folder: str | Path,
    studies: Iterable[str],
    *,
    sample_set: str,
    confidence: float,
    bootstrap_draws: int,
) -> None:
    """Correlate the final quantities of each study's runs, and write the tables.

    Args:
        analyses: files of analysed runs.
        folder: where the tables go, see `write_correlations`.
        studies: those whose runs are correlated.
        sample_set: see `flatness.analysis.correlations.correlations`, as the others.
        confidence: see there.
        bootstrap_draws: see there.
    """
    runs = by_study(read_runs(analyses))
    found = {
        study: correlations(
            runs[study],
            sample_set=sample_set,
            confidence=confidence,
            bootstrap_draws=bootstrap_draws,
        )
        for study in studies
    }
    write_correlations(found, folder)
