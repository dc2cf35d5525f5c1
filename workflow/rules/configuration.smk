# The configuration, from the files of `--configfile`, or the default one, each with what it extends,
# and `--config`: Snakemake would merge these otherwise, and knows no `extends`. It has read them once
# before this: what is no plain YAML or JSON was refused by snakemake_logger_plugin_flatness, which it
# imports even earlier. From here on, rules read `settings` and the tables made of it at the end.

import sys
from pathlib import Path

# The package lies beside these rules: a Snakemake that lacks it finds it there, and hands its path
# on to scripts, whatever their environment has.
sys.path.append(str(Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent))

from flatness.errors import FlatnessError
from flatness.settings import (
    configuration_files,
    load_settings,
    read_configuration,
    register_own_quantities,
    runs_of_figure,
    runs_of_study,
    runs_with_seeds,
    table_of_runs,
)

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

# `--config seeds=[1]`: the runs of these seeds only, as one part of the whole study.
ONLY_SEEDS = config.pop("seeds", None)

try:
    register_own_quantities(config, PLACE)
    settings = load_settings(config, PLACE)
    RUNS = runs_with_seeds(table_of_runs(settings), ONLY_SEEDS)
except FlatnessError as error:
    refuse(error)

# One script reads this, see data.smk: what is checked, with every default.
config.clear()
config.update(settings.model_dump())

STUDIES = [study for study in settings.studies if runs_of_study(RUNS, study)]
FIGURES = {
    name: figure for name, figure in settings.figures.items() if runs_of_figure(RUNS, figure)
}
MIDDLE_LAYERS = {run.id: settings.studies[run.study].middle_layers for run in RUNS.values()}
# By role in the paper's claims, the study that plays it.
ROLES = settings.claims.roles()
