# Where the configuration comes from: the files of `--configfile`, or the default one, each with what
# it extends, and `--config`. Snakemake would merge these otherwise, and knows no `extends`.

import sys

from flatness.errors import FlatnessError
from flatness.settings import configuration_files, read_configuration

CONFIGURATION = workflow.overwrite_configfiles or ["config/config.yaml"]
PLACE = ", ".join(map(str, CONFIGURATION))


def refuse(error):
    """End with the error's lines and no traceback: the mistake is in the configuration."""
    sys.exit(str(error))


if workflow.modifier.skip_configfile:
    # A workflow that has this one as a module hands its own configuration over.
    PLACE = "config of the module"
else:
    try:
        written = read_configuration(CONFIGURATION, workflow.config_settings.config)
        # The report shows these files, and machines without them get copies.
        workflow.configfiles[:] = configuration_files(CONFIGURATION)
    except FlatnessError as error:
        refuse(error)
    config.clear()
    config.update(written)
