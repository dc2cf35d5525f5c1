"""All tables, made from a file of condensed runs."""

import json
from pathlib import Path

import xarray as xr

from flatness.analysis.claims import judge, sensitivity, with_sensitivity
from flatness.analysis.condensed import separate
from flatness.analysis.correlations import correlations
from flatness.tables.claim_files import write_claims
from flatness.tables.correlation_files import write_correlations


def write_tables(condensed: xr.Dataset, folder: str | Path) -> list[Path]:
    """Correlation tables of every study and the claims, in every form.

    Args:
        condensed: as `flatness.analysis.condensed.condense` gives it, with the settings
            `analysis` and `claims` of the configuration and its `departures` from the paper's
            settings as attributes, in JSON.
        folder: where they go; names are those below RESULTS/tables.

    Returns:
        The files.
    """
    studies = separate(condensed)
    analysis, claims, departures = (
        json.loads(condensed.attrs[key]) for key in ("analysis", "claims", "departures")
    )
    shared = {"confidence": analysis["confidence"], "resamples": analysis["bootstrap_draws"]}
    found = {
        study: correlations(runs, sample_set=analysis["sample_set"], **shared)
        for study, runs in studies.items()
    }
    written = write_correlations(found, folder)
    of = [studies.get(claims[network], []) for network in ("vgg10", "mlp")]
    shared["interpolation_accuracy"] = analysis["interpolation_accuracy"]
    verdicts = judge(*of, **shared)
    alternatives = sensitivity(*of, verdicts, **shared)
    verdicts = with_sensitivity(verdicts, alternatives)
    return written + write_claims(verdicts, alternatives, folder, departures=departures)
