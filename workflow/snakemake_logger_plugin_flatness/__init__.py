"""Checks the files of `--configfile` before Snakemake reads them.

Snakemake reads these files before the Snakefile: it answers with a traceback where it cannot,
and runs the code of a template. It imports packages whose names begin as this one's does even
earlier, so that they can offer a logger. This one offers none of its own, and leaves other
workflows alone.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase as LogHandler

from flatness.errors import SettingsError
from flatness.settings.reading import check_file

__all__ = ["LogHandler"]

_OUR_SNAKEFILE = Path(__file__).parents[2] / "Snakefile"
# Where Snakemake looks first of all if none is named.
_USUAL = "Snakefile"


def _check_command_line() -> None:
    """End with one line if a file for this workflow is no plain configuration."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--snakefile", "-s", default=_USUAL)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    given, _ = parser.parse_known_args()
    if not (_OUR_SNAKEFILE.exists() and Path(given.snakefile).resolve() == _OUR_SNAKEFILE):
        return
    for file in given.configfile:
        try:
            check_file(file)
        except SettingsError as error:
            sys.exit(str(error))


_check_command_line()
