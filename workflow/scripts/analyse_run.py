"""Analyse one run."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from flatness.analysis.analyse import analyse
    from flatness.storage import read_dataset, write_dataset

    write_dataset(
        analyse(
            read_dataset(snakemake.input.measurements),
            study=snakemake.params.study,
            powers=snakemake.params.powers,
            quantities_file=snakemake.params.quantities,
        ),
        snakemake.output.analysis,
    )
