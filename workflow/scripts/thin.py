"""Keep of measured runs what is to stay."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from flatness.experiment.thinning import thin_measured

    thin_measured(snakemake.params.runs, snakemake.params.keep)
