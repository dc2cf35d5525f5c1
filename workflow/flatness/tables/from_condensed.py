"""All tables, made from a file of condensed runs."""

import json
from pathlib import Path

import xarray as xr

from flatness.analysis.claims import judge
from flatness.analysis.condensed import separate
from flatness.analysis.correlations import correlations
from flatness.tables import claim_table
from flatness.tables.correlation_files import write_correlations


def write_tables(condensed: xr.Dataset, folder: str | Path) -> None:
    """Correlation tables of every study and the claims, in every form.

    Args:
        condensed: as `flatness.analysis.condensed.condense` gives it, with the settings
            `analysis` and `claims` of the configuration as attributes, in JSON.
        folder: where they go; names are those below RESULTS/tables.
    """
    studies = separate(condensed)
    analysis, claims = (json.loads(condensed.attrs[key]) for key in ("analysis", "claims"))
    shared = {"confidence": analysis["confidence"], "resamples": analysis["bootstrap_draws"]}
    found = {
        study: correlations(runs, sample_set=analysis["sample_set"], **shared)
        for study, runs in studies.items()
    }
    write_correlations(found, folder)
    verdicts = judge(
        *(studies.get(claims[network], []) for network in ("vgg10", "mlp")),
        interpolation_accuracy=analysis["interpolation_accuracy"],
        **shared,
    )
    claim_table.write_csv(verdicts, Path(folder, "claims.csv"))
    claim_table.write_markdown(verdicts, Path(folder, "claims.md"))
    claim_table.write_text(verdicts, Path(folder, "claims.txt"))
