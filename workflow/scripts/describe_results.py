"""Write the first page of the report."""

from flatness.joblog import job_log

with job_log(snakemake.log[0]):
    import pandas as pd

    from flatness.storage import read_dataset
    from flatness.tables.overview import write_overview

    write_overview(
        snakemake.output.page,
        claims=pd.read_csv(snakemake.input.claims),
        runs=[read_dataset(path) for path in snakemake.input.analyses],
        settings=snakemake.params.settings,
        benchmarks=snakemake.params.benchmarks,
    )
