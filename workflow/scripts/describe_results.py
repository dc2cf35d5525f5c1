"""Write the first page of the report."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from flatness.publication.overview import describe_results

    describe_results(
        snakemake.input.results,
        snakemake.output.page,
        claims=snakemake.input.claims or None,
    )
