"""All tables, made from a file of results."""

from pathlib import Path

import xarray as xr

from flatness.analysis.claims import judge_with_sensitivity
from flatness.analysis.correlations import correlations
from flatness.publication.deviations import nature
from flatness.publication.results import counts, separate
from flatness.settings import Settings
from flatness.tables.claim_files import write_claims
from flatness.tables.correlation_files import write_correlations


def write_tables(
    results: xr.DataTree, settings: Settings, paper: Settings, folder: str | Path
) -> list[Path]:
    """Correlation tables of every study, and the claims and their sensitivity, in every form.

    Where no study plays a role in the claims, there are none.

    Args:
        results: as `flatness.publication.results.condense` gives it.
        settings: the configuration.
        paper: that of the paper.
        folder: where they go; names are those below RESULTS/tables.

    Returns:
        The files.
    """
    studies, analysis = separate(results), settings.analysis
    shared = {"confidence": analysis.confidence, "bootstrap_draws": analysis.bootstrap_draws}
    found = {
        study: correlations(runs, sample_set=analysis.sample_set, **shared)
        for study, runs in studies.items()
    }
    written = write_correlations(found, folder)
    of_roles = {role: studies.get(name, []) for role, name in settings.claims.roles().items()}
    if not of_roles:
        return written
    shared["interpolation_accuracy"] = analysis.interpolation_accuracy
    verdicts, alternatives = judge_with_sensitivity(of_roles, **shared)
    what = nature(settings.published(), paper.published(), counts(results)).sentence
    return written + write_claims(verdicts, alternatives, folder, nature=what)
