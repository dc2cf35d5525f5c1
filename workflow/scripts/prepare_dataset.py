"""Prepare one dataset; runs where Snakemake itself runs."""

from pathlib import Path

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from flatness.experiment.prepared import prepare
    from flatness.provenance import provenance

    prepare(
        snakemake.config["datasets"][snakemake.params.name],
        Path(snakemake.config["folders"]["data"]),
        snakemake.config["download"],
        Path(snakemake.output.dataset),
        provenance(dataset=snakemake.params.name, settings=snakemake.params.dataset),
    )
