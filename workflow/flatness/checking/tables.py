"""Every table, made anew from the results."""

from pathlib import Path

import xarray as xr

from flatness.checking.files import differences
from flatness.checking.step import Found
from flatness.publication.all_tables import write_tables
from flatness.publication.paper import papers_settings
from flatness.settings import Settings

# Of tables; what begins with a dot is the unfinished file of a job.
TABLES = "[!.]*.*"
# Measured on one core of an Intel Xeon of 2026 with publications of 20 and 50 runs and 2,000 draws.
SECONDS_PER_RUN = 0.13


def check_tables(published: Path, made: Path, results: xr.DataTree, settings: Settings) -> Found:
    """Make the tables of a publication anew and compare them byte for byte.

    Args:
        published: the folder of tables that is published.
        made: the folder they are written to.
        results: of the publication.
        settings: its configuration.
    """
    written = write_tables(results, settings, papers_settings(), made)
    found = differences(made, published, TABLES)
    same = len({file.name for file in written} - set(found))
    line = f"{same} of {len(written)} tables are the same, byte for byte"
    return Found((line,), tuple(f"{published / name}: {what}" for name, what in found.items()))
