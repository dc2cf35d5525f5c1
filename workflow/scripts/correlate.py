"""Correlate the final quantities of each study and write the tables."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from pathlib import Path

    from flatness.analysis.analysed_run import AnalysedRun
    from flatness.analysis.correlations import correlations
    from flatness.analysis.groups import by_study
    from flatness.storage import read_dataset
    from flatness.tables.correlation_files import write_correlations
    from flatness.tables.correlation_page import write_page

    runs = by_study(AnalysedRun(read_dataset(path)) for path in snakemake.input.analyses)
    found = {
        study: correlations(
            runs[study],
            sample_set=snakemake.params.sample_set,
            confidence=snakemake.params.confidence,
            resamples=snakemake.params.draws,
        )
        for study in snakemake.params.studies
    }
    write_correlations(found, Path(snakemake.output.netcdf).parent)
    for position, (study, dataset) in enumerate(found.items()):
        write_page(dataset, snakemake.output.page[position], study=study)
