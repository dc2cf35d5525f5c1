"""Write the page of the report."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from flatness.publication.report.write import write_report

    write_report(
        snakemake.input.results,
        snakemake.output.page,
        claims=snakemake.input.claims or None,
        sensitivity=snakemake.input.sensitivity or None,
        correlations=snakemake.input.correlations,
        figures=snakemake.input.figures,
    )
