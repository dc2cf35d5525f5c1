"""Measure every checkpoint of one run."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from flatness.measurement.finished import measure_finished

    measure_finished(
        snakemake.input.checkpoints,
        snakemake.input.dataset,
        snakemake.output.measurements,
        dataset_name=snakemake.params.dataset_name,
        chunk_size=snakemake.params.chunk_size,
        minibatch_window=snakemake.params.minibatch_window,
        curvature_options=snakemake.params.curvature_options,
        layer=snakemake.params.layer,
        code=snakemake.params.code,
    )
