"""Prepare one dataset; runs where Snakemake itself runs."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from flatness.experiment.prepared import prepare

    prepare(
        snakemake.config["datasets"][snakemake.params.name],
        snakemake.config["folders"]["data"],
        snakemake.config["download"],
        snakemake.output.dataset,
        {"dataset": snakemake.params.name, "settings": snakemake.params.dataset},
    )
