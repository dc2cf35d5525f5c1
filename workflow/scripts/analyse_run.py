"""Analyse one run."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from flatness.analysis.analyse import analyse_run

    analyse_run(
        snakemake.input.measurements,
        snakemake.output.analysis,
        study=snakemake.params.study,
        powers=snakemake.params.powers,
        quantities_file=snakemake.params.quantities,
    )
