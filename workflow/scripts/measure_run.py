"""Measure every checkpoint of one run."""

from pathlib import Path

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from flatness.experiment.checkpoints import clear_state
    from flatness.measurement.run import measure_run

    # Below RESULTS. No parameter of the rule: another one would have old runs measured anew.
    clear_state(Path(snakemake.input.checkpoints).parents[2] / "state" / snakemake.wildcards.run)
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
