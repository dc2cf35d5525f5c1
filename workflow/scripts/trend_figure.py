"""Draw one trend figure."""

from flatness.joblog import job_log

with job_log(snakemake.log[0]):
    from flatness.figures.trends import save_figure, trend_figure
    from flatness.storage import read_dataset

    figure = trend_figure(
        [read_dataset(path) for path in snakemake.input.measurements],
        title=snakemake.params.title,
        compare=snakemake.params.compare,
        sample_set=snakemake.params.sample_set,
        confidence=snakemake.params.confidence,
        interpolation_accuracy=snakemake.params.interpolation_accuracy,
    )
    save_figure(figure, *snakemake.output)
