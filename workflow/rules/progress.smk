# One line that tells what runs, at what rate, and the time left for the whole; off with `--quiet
# progress`, `--quiet` and `--quiet all`. A workflow that has this one as a module shows its own.

from snakemake.logging import logger
from snakemake.settings.enums import Quietness

from flatness.progress.following import follow
from flatness.progress.tasks import task_of


def tasks():
    """What each job that is needed has to do, by its id."""
    return {
        workflow.dag.jobid(job): task_of(job.rule.name, job.wildcards_dict, settings, RUNS)
        for job in workflow.dag.needrun_jobs()
        if not job.is_norun
    }


def runs_at_a_time():
    """How many runs are trained or measured side by side; None on a cluster."""
    if workflow.resource_settings.nodes is not None:
        return None
    limits = [(workflow.resource_settings.cores or 1) // settings.training.threads]
    if GPUS and "gpu" in workflow.global_resources:
        limits.append(workflow.global_resources["gpu"].value // GPUS)
    return max(min(limits), 1)


shown = workflow.output_settings
if (
    workflow.is_main_process
    and not (shown.dryrun or workflow.modifier.skip_configfile)
    and not {Quietness.PROGRESS, Quietness.ALL} & set(shown.quiet or ())
):
    follow(logger, tasks, runs_at_a_time())
