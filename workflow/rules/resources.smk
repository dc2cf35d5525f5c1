# What jobs ask for: of this machine, and of a cluster.

import os

from flatness.experiment.gpus import RUNS_PER_GPU
from flatness.jobs.nvidia_driver import visible_gpus

# Matplotlib would keep its list of fonts in the home folder.
os.environ.setdefault("MPLCONFIGDIR", os.path.abspath(f"{settings.folders.results}/.cache"))
os.environ[RUNS_PER_GPU] = str(settings.runs_per_gpu)

# What a training or measuring job asks a cluster for, and what it takes of the GPUs of this machine.
GPUS = 0 if settings.device == "cpu" else 1
# Twice as much with a GPU: schedulers that go by the resident set count the mapped libraries of
# CUDA, some gigabytes, on top of what a job needs itself.
MEGABYTES = 4000 if settings.device == "cpu" else 8000


def memory(megabytes):
    """Memory that doubles with each attempt, for schedulers that kill what takes more."""
    return lambda wildcards, attempt: megabytes * 2 ** (attempt - 1)


def minutes(first):
    """Run time that doubles with each attempt."""
    return lambda wildcards, attempt: first * 2 ** (attempt - 1)


# On this machine `--resources gpu=N` says how many GPUs may be in use; without it, all may. On a
# cluster, which `--jobs` stands for, each job has a GPU or a part of one to itself. The driver, which
# the question initialises in this process, is asked only where jobs are started, and not for a plan,
# a report (which has no `--cores`) or the check of rules.
given, looks_only = workflow.resource_settings, workflow.output_settings.dryrun
if GPUS and workflow.is_main_process and given.nodes is None and given.cores and not looks_only:
    limit = workflow.global_resources
    usable = limit["gpu"].value if "gpu" in limit else visible_gpus()
    if usable:
        workflow.register_resource("gpu", usable * settings.runs_per_gpu)
