"""Put all analysed runs into one file."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from flatness.publication.gathering import gather_study

    gather_study(
        snakemake.input.analyses,
        snakemake.output.results,
        settings=snakemake.params.settings,
        runs=snakemake.params.runs,
    )
