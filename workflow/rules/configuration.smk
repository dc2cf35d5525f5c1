# Where the configuration comes from. A file given on the command line replaces the default one;
# Snakemake would merge the two.

import sys

from flatness.errors import FlatnessError
from flatness.settings import check_file

CONFIGURATION = workflow.overwrite_configfiles or ["config/config.yaml"]
PLACE = ", ".join(map(str, CONFIGURATION))


def refuse(error):
    """End with the error's lines and no traceback: the mistake is in the configuration."""
    sys.exit(str(error))


try:
    for file in CONFIGURATION:
        check_file(file)
except FlatnessError as error:
    refuse(error)

if not workflow.overwrite_configfiles:

    configfile: CONFIGURATION[0]
