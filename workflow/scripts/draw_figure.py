"""Draw one figure."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from flatness.analysis.analysed_run import AnalysedRun
    from flatness.figures import draw
    from flatness.figures.page import write_page
    from flatness.figures.saving import save_figure
    from flatness.storage import read_dataset

    figure = draw(
        snakemake.params.kind,
        [AnalysedRun(read_dataset(path)) for path in snakemake.input.analyses],
        title=snakemake.params.title,
        options=snakemake.params.options,
    )
    save_figure(figure, snakemake.output.png, snakemake.output.pdf)
    write_page(snakemake.output.png, snakemake.output.page, title=snakemake.params.title)
