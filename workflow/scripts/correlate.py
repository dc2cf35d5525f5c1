"""Correlate the final quantities of each study and write the tables."""

from flatness.joblog import job_log

with job_log(snakemake.log[0]):
    from flatness.analysis.correlations import correlations, together
    from flatness.storage import read_dataset, write_dataset
    from flatness.tables.correlation_csv import write_csv
    from flatness.tables.correlation_latex import write_latex
    from flatness.tables.correlation_markdown import write_markdown
    from flatness.tables.correlation_page import write_page

    runs = [read_dataset(path) for path in snakemake.input.analyses]
    found = {
        study: correlations(
            [run for run in runs if run.attrs["run"] in ids],
            sample_set=snakemake.params.sample_set,
            confidence=snakemake.params.confidence,
            resamples=snakemake.params.draws,
        )
        for study, ids in snakemake.params.runs.items()
    }
    for position, (study, dataset) in enumerate(found.items()):
        write_csv(dataset, snakemake.output.csv[position])
        write_markdown(dataset, snakemake.output.markdown[position], study=study)
        write_latex(dataset, snakemake.output.latex[position], study=study)
        write_page(dataset, snakemake.output.page[position], study=study)
    write_dataset(together(found), snakemake.output.netcdf)
