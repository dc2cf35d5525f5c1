# What can be known to fail before any job starts.

from pathlib import Path

from flatness.errors import FlatnessError
from flatness.jobs import preflight, trial

if workflow.is_main_process:
    try:
        preflight.check_datasets(settings, PLACE)
        preflight.check_results_folder(settings, PLACE)
    except FlatnessError as error:
        refuse(error)


def source_at_hand(wildcards):
    """No file; refuse, while the graph is built, a dataset that is needed and not there.

    One that is prepared already needs its source no more.
    """
    prepared = rules.prepare_dataset.output.dataset.format(dataset=wildcards.dataset)
    if workflow.is_main_process and not Path(prepared).exists():
        try:
            preflight.check_source(wildcards.dataset, settings, PLACE)
        except FlatnessError as error:
            refuse(error)
    return []


def to_prepare():
    """The datasets that this call prepares, once the graph is built."""
    jobs = workflow.dag.needrun_jobs()
    return sorted({job.wildcards.dataset for job in jobs if job.rule.name == "prepare_dataset"})


onstart:
    try:
        preflight.check_no_job_arrays(getattr(workflow.executor_settings, "array_jobs", None))
        if workflow.local_exec:
            preflight.check_device(settings.device, PLACE)
        trial.check_networks(settings, PLACE)
        trial.check_quantities(settings, PLACE)
        preflight.check_middle_layers(settings, PLACE)
        for name in to_prepare():
            preflight.check_network(name, settings, PLACE)
    except FlatnessError as error:
        refuse(error)
