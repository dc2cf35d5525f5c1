"""Checks the files of `--configfile` before Snakemake reads them.

Snakemake reads these files before the Snakefile: it answers with a traceback where it cannot,
and runs the code of a template. It imports packages whose names begin as this one's does even
earlier, so that they can offer a logger. This one offers none of its own.
"""

import sys
from argparse import ArgumentParser

from snakemake_interface_logger_plugins.base import LogHandlerBase as LogHandler

from flatness.errors import SettingsError
from flatness.settings.reading import check_file

__all__ = ["LogHandler"]


def _check_command_line() -> None:
    """End with one line if a file on the command line is no plain configuration."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    for file in parser.parse_known_args()[0].configfile:
        try:
            check_file(file)
        except SettingsError as error:
            sys.exit(str(error))


_check_command_line()
