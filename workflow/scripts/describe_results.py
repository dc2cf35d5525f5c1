"""Write the first page of the report."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    import pandas as pd

    from flatness.publication.opening import read_results, settings_of_publication
    from flatness.publication.overview import write_overview
    from flatness.publication.paper import papers_settings

    results = read_results(snakemake.input.results)
    write_overview(
        snakemake.output.page,
        claims=pd.read_csv(snakemake.input.claims) if snakemake.input.claims else None,
        results=results,
        settings=settings_of_publication(results),
        paper=papers_settings(),
    )
