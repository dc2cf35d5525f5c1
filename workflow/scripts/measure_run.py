"""Measure every checkpoint of one run."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from flatness.jobs import states
    from flatness.measurement.run import measure_run

    states.clear(snakemake.input.checkpoints)
    measure_run(
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
