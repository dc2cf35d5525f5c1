"""All tables, made from a file of results."""

from pathlib import Path

import xarray as xr

from flatness.analysis.claims import judge
from flatness.analysis.correlations import correlations
from flatness.publication.results import separate
from flatness.settings import Settings
from flatness.tables import claim_table
from flatness.tables.correlation_files import write_correlations


def write_tables(results: xr.DataTree, settings: Settings, folder: str | Path) -> list[Path]:
    """Correlation tables of every study and the claims, in every form.

    Args:
        results: as `flatness.publication.results.condense` gives it.
        settings: the configuration.
        folder: where they go; names are those below RESULTS/tables.

    Returns:
        The files.
    """
    studies, analysis = separate(results), settings.analysis
    shared = {"confidence": analysis.confidence, "resamples": analysis.bootstrap_draws}
    found = {
        study: correlations(runs, sample_set=analysis.sample_set, **shared)
        for study, runs in studies.items()
    }
    written = write_correlations(found, folder)
    verdicts = judge(
        studies.get(settings.claims.vgg10, []),
        studies.get(settings.claims.mlp, []),
        interpolation_accuracy=analysis.interpolation_accuracy,
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
