# Where files lie, and which of them belong together; each path is spelled once, in its rule.

import re
from pathlib import Path

RESULTS = f"{settings.folders.results}/{settings.name}"
ENVIRONMENT = "../../envs/environment.yaml"


# A constraint stands in every path that has the wildcard, and Snakemake searches the whole path for
# each job: a list of all runs would make the graph's cost quadratic. `run_of` knows their names.
wildcard_constraints:
    dataset="|".join(map(re.escape, settings.datasets)),
    run="[^/]+",
    study="|".join(map(re.escape, settings.studies)),
    layer="|".join(
        re.escape(layer) for study in settings.studies.values() for layer in study.middle_layers
    )
    or "none",
    figure="|".join(FIGURES) or "none",


def dataset_of_run(wildcards):
    """The prepared dataset that a run is trained on."""
    return rules.prepare_dataset.output.dataset.format(dataset=run_of(wildcards).dataset)


def analyses(runs):
    """The analysed files of some runs."""
    return expand(rules.analyse_run.output.analysis, run=[run.id for run in runs])


def analyses_of_figure(wildcards):
    """The files that one figure is a function of."""
    return analyses(runs_of_figure(RUNS, FIGURES[wildcards.figure]))


def needing_checkpoints():
    """By the folder of each run, the files that are made from its checkpoints."""
    return {
        str(Path(rules.train_run.output.checkpoints.format(run=run)).parent): [
            rules.measure_run.output.measurements.format(run=run),
            *(
                rules.measure_layer.output.measurements.format(run=run, layer=layer)
                for layer in layers
            ),
        ]
        for run, layers in MIDDLE_LAYERS.items()
    }
