"""Put what came out into one folder that can be published."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from pathlib import Path

    from flatness.publication.publish import publish_file

    publish_file(snakemake.input.results, Path(snakemake.output.page).parent)
