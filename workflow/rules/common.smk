# The checked settings, the table of runs, and every path, spelled once.

import difflib
import os
import re
from collections import Counter
from pathlib import Path

from flatness.errors import FlatnessError
from flatness.experiment.gpus import RUNS_PER_GPU
from flatness.figures.captions import caption
from flatness.jobs import preflight, stages, trial
from flatness.jobs.nvidia_driver import visible_gpus
from flatness.own.quantities import load_quantities
from flatness.publication.configuration import portable, with_seeds
from flatness.settings import (
    load_settings,
    runs_of_figure,
    runs_of_study,
    runs_with_seeds,
    table_of_runs,
    training_plan,
)

# `--config seeds=[1]`: the runs of these seeds only, as one part of the whole study.
ONLY_SEEDS = config.pop("seeds", None)

try:
    # Figures may name quantities of one's own.
    if isinstance(config.get("quantities"), str):
        load_quantities(config["quantities"])
    settings = load_settings(config, PLACE)
    RUNS = runs_with_seeds(table_of_runs(settings), ONLY_SEEDS)
    if workflow.is_main_process:
        preflight.check_datasets(settings, PLACE)
        preflight.check_results_folder(settings, PLACE)
except FlatnessError as error:
    refuse(error)

# From here on, rules and scripts see the checked values and every default.
config.clear()
config.update(settings.model_dump())

TO_PREPARE = set()
DATASETS = sorted({run.dataset for run in RUNS.values()})
STUDIES = [study for study in settings.studies if runs_of_study(RUNS, study)]
FIGURES = {
    name: figure for name, figure in settings.figures.items() if runs_of_figure(RUNS, figure)
}
MIDDLE_LAYERS = {run.id: settings.studies[run.study].middle_layers for run in RUNS.values()}
RESULTS = f"{settings.folders.results}/{settings.name}"
ENVIRONMENT = "../../envs/environment.yaml"
# Matplotlib would keep its list of fonts in the home folder.
os.environ.setdefault("MPLCONFIGDIR", os.path.abspath(f"{settings.folders.results}/.cache"))
# What a training or measuring job asks a cluster for, and what it takes of the GPUs of this machine.
GPUS = 0 if settings.device == "cpu" else 1
# Twice as much with a GPU: schedulers that go by the resident set count the mapped libraries of
# CUDA, some gigabytes, on top of what a job needs itself.
MEGABYTES = 4000 if settings.device == "cpu" else 8000
os.environ[RUNS_PER_GPU] = str(settings.runs_per_gpu)

# On this machine `--resources gpu=N` says how many GPUs may be in use; without it, all may. On a
# cluster, which `--jobs` stands for, each job has a GPU or a part of one to itself.
if GPUS and workflow.is_main_process and workflow.resource_settings.nodes is None:
    given = workflow.global_resources
    usable = given["gpu"].value if "gpu" in given else visible_gpus()
    if usable:
        workflow.register_resource("gpu", usable * settings.runs_per_gpu)


def run_of(wildcards):
    """The run of that name; refuse a target that names none."""
    try:
        return RUNS[wildcards.run]
    except KeyError:
        first, last = next(iter(RUNS)), next(reversed(RUNS))
        refuse(
            f"{PLACE}: {wildcards.run!r} is no run. Allowed: the {len(RUNS)} runs of the "
            f"configuration, from {first} to {last}. Correct the name, or add its learning rate, "
            "batch size and seed to a study."
        )


def no_such_target(name):
    """What is wrong with a target, and which one may be meant."""
    targets = ["all", "measurements", "tables", "claims", "part", "publish", "figures", *FIGURES]
    near = difflib.get_close_matches(name, targets, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else "Ask for one of these."
    return (
        f"{PLACE}: {name!r} is no target. Allowed: {', '.join(targets)}, and files below {RESULTS}. "
        f"{hint} For another figure, add it to `figures` in the configuration."
    )


def study_of(wildcards):
    """The study that a run belongs to."""
    return settings.studies[run_of(wildcards).study]


def dataset_of_run(wildcards):
    """The prepared dataset that a run is trained on."""
    return rules.prepare_dataset.output.dataset.format(dataset=run_of(wildcards).dataset)


def curvature_options(wildcards):
    """How the trace of the loss Hessian is measured, if it is."""
    if not settings.measuring.hessian_trace:
        return None
    return {
        "probes": settings.measuring.hessian_probes,
        "exact_products": settings.measuring.hessian_exact_products,
    }


def analyses(runs):
    """The analysed files of some runs."""
    return expand(rules.analyse_run.output.analysis, run=[run.id for run in runs])


def analyses_of_figure(wildcards):
    """The files that one figure is a function of."""
    return analyses(runs_of_figure(RUNS, FIGURES[wildcards.figure]))


def analyses_of_study(wildcards):
    """The files of all runs of one study."""
    return analyses(runs_of_study(RUNS, wildcards.study))


def labels_of_figure(wildcards):
    """How the report lists one figure."""
    name = wildcards.figure
    return {"figure": settings.title_of(name), "shows": FIGURES[name].subject}


def code_of_figure(wildcards):
    """The code that one figure depends on."""
    return stages.drawing_code(FIGURES[wildcards.figure].kind)


def what_is_judged(wildcards):
    """The settings that say what the study is, with the seeds and the numbers of runs here."""
    seeds = {}
    for run in RUNS.values():
        seeds.setdefault(run.study, set()).add(run.seed)
    mapping = portable(with_seeds(settings, seeds))
    for study in mapping["studies"].values():
        study.pop("middle_layers", None)  # no claim is about them
    return {
        "settings": {key: mapping[key] for key in ("datasets", "studies", "measuring", "analysis")},
        "runs": dict(Counter(run.study for run in RUNS.values())),
    }


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


def memory(megabytes):
    """Memory that doubles with each attempt, for schedulers that kill what takes more."""
    return lambda wildcards, attempt: megabytes * 2 ** (attempt - 1)


def minutes(first):
    """Run time that doubles with each attempt."""
    return lambda wildcards, attempt: first * 2 ** (attempt - 1)


def source_at_hand(wildcards):
    """No file; called while the graph is built, for each dataset that is needed.

    Unless it is prepared already, its source must be there or may be downloaded.
    """
    name = wildcards.dataset
    prepared = rules.prepare_dataset.output.dataset.format(dataset=name)
    if workflow.is_main_process and not Path(prepared).exists():
        try:
            preflight.check_source(name, settings, PLACE)
        except FlatnessError as error:
            refuse(error)
        TO_PREPARE.add(name)
    return []


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


onstart:
    try:
        preflight.check_no_job_arrays(getattr(workflow.executor_settings, "array_jobs", None))
        if workflow.local_exec:
            preflight.check_device(settings.device, PLACE)
        trial.check_networks(settings, PLACE)
        trial.check_quantities(settings, PLACE)
        preflight.check_middle_layers(settings, PLACE)
        for name in TO_PREPARE:
            preflight.check_network(name, settings, PLACE)
    except FlatnessError as error:
        refuse(error)
