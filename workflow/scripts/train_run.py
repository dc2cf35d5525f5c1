"""Train one run, or finish it where an earlier attempt stopped."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from flatness.experiment.training import TrainingPlan, train

    train(
        TrainingPlan(**snakemake.params.plan),
        snakemake.input.dataset,
        snakemake.output.checkpoints,
        snakemake.params.state,
        code=snakemake.params.code,
    )
