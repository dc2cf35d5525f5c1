# The checked settings, the table of runs, and every path, spelled once.

import sys
from pathlib import Path

from flatness import preflight, stages
from flatness.errors import FlatnessError
from flatness.settings import load_settings, runs_of_figure, table_of_runs, training_plan

PLACE = ", ".join(map(str, workflow.configfiles)) or "configuration"


def refuse(error):
    """End with the error's lines and no traceback: the mistake is in the configuration."""
    sys.exit(str(error))


try:
    settings = load_settings(config, PLACE)
    if workflow.is_main_process:
        preflight.check_datasets(settings, PLACE)
        preflight.check_results_folder(settings, PLACE)
except FlatnessError as error:
    refuse(error)

# From here on, rules and scripts see the checked values and every default.
config.clear()
config.update(settings.model_dump())

RUNS = table_of_runs(settings)
FIGURES = settings.figures.drawn()
RESULTS = f"{settings.folders.results}/{settings.name}"
ENVIRONMENT = "../../envs/environment.yaml"
STYLE = f"{workflow.basedir}/workflow/flatness/figures/flatness.mplstyle"


def study_of(wildcards):
    """The study that a run belongs to."""
    return settings.studies[RUNS[wildcards.run].study]


def dataset_of_run(wildcards):
    """The prepared dataset that a run is trained on."""
    return rules.prepare_dataset.output.dataset.format(dataset=RUNS[wildcards.run].dataset)


def measurements_of_figure(wildcards):
    """The files that one figure is a function of."""
    runs = runs_of_figure(RUNS, FIGURES[wildcards.figure])
    return expand(rules.measure_run.output.measurements, run=[run.id for run in runs])


def memory(megabytes):
    """Memory that doubles with each attempt, for schedulers that kill what takes more."""
    return lambda wildcards, attempt: megabytes * 2 ** (attempt - 1)


def minutes(first):
    """Run time that doubles with each attempt."""
    return lambda wildcards, attempt: first * 2 ** (attempt - 1)


wildcard_constraints:
    dataset="|".join(settings.datasets),
    run="|".join(RUNS),
    figure="|".join(FIGURES) or "none",


onstart:
    try:
        if workflow.local_exec:
            preflight.check_device(settings.device, PLACE)
        for name, dataset in settings.datasets.items():
            if (
                dataset.source == "torchvision"
                and not Path(f"{RESULTS}/datasets/{name}.nc").exists()
            ):
                preflight.check_network(dataset, settings, PLACE)
    except FlatnessError as error:
        refuse(error)
