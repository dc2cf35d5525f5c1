"""Correlate the final quantities of each study and write the tables."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from pathlib import Path

    from flatness.tables.correlate import correlate

    correlate(
        snakemake.input.analyses,
        Path(snakemake.output.netcdf).parent,
        snakemake.params.studies,
        sample_set=snakemake.params.sample_set,
        confidence=snakemake.params.confidence,
        bootstrap_draws=snakemake.params.bootstrap_draws,
    )
