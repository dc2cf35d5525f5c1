"""Draw one figure."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from flatness.figures.draw_figure import draw_figure

    draw_figure(
        snakemake.input.analyses,
        snakemake.output.png,
        snakemake.output.pdf,
        snakemake.output.svg,
        kind=snakemake.params.kind,
        title=snakemake.params.title,
        options=snakemake.params.options,
    )
