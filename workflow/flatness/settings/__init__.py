"""The typed configuration and the table of runs."""

from flatness.settings.extending import configuration_files, read_configuration
from flatness.settings.loading import load_settings, read_settings, register_own_quantities
from flatness.settings.model import Settings
from flatness.settings.reading import as_yaml, check_file
from flatness.settings.run import Run
from flatness.settings.runs import (
    runs_of_figure,
    runs_of_study,
    runs_with_seeds,
    table_of_runs,
    training_plan,
)

__all__ = [
    "Run",
    "Settings",
    "as_yaml",
    "check_file",
    "configuration_files",
    "load_settings",
    "read_configuration",
    "read_settings",
    "register_own_quantities",
    "runs_of_figure",
    "runs_of_study",
    "runs_with_seeds",
    "table_of_runs",
    "training_plan",
]
