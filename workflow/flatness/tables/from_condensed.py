"""All tables, made from a file of condensed runs."""

import json
from pathlib import Path

import xarray as xr

from flatness.analysis.claims import judge
from flatness.analysis.condensed import separate
from flatness.analysis.correlations import correlations
from flatness.tables import claim_table
from flatness.tables.correlation_files import write_correlations


def write_tables(condensed: xr.Dataset, folder: str | Path) -> list[Path]:
    """Correlation tables of every study and the claims, in every form.

    Args:
        condensed: as `flatness.analysis.condensed.condense` gives it, with the settings
            `analysis` and `claims` of the configuration as attributes, in JSON.
        folder: where they go; names are those below RESULTS/tables.

    Returns:
        The files.
    """
    studies = separate(condensed)
    analysis, claims = (json.loads(condensed.attrs[key]) for key in ("analysis", "claims"))
    shared = {"confidence": analysis["confidence"], "resamples": analysis["bootstrap_draws"]}
    found = {
        study: correlations(runs, sample_set=analysis["sample_set"], **shared)
        for study, runs in studies.items()
    }
    written = write_correlations(found, folder)
    verdicts = judge(
        *(studies.get(claims[network], []) for network in ("vgg10", "mlp")),
        interpolation_accuracy=analysis["interpolation_accuracy"],
        **shared,
    )
    for ending, write in (
        ("csv", claim_table.write_csv),
        ("md", claim_table.write_markdown),
        ("txt", claim_table.write_text),
    ):
        written.append(Path(folder, f"claims.{ending}"))
        write(verdicts, written[-1])
    return written
