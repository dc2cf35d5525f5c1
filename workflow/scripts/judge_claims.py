"""Test the claims, as they are and under other choices, and write the tables in every form."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from pathlib import Path

    from flatness.publication.judge_claims import judge_claims

    judge_claims(
        snakemake.input.analyses,
        Path(snakemake.output.csv).parent,
        roles=snakemake.params.roles,
        settings=snakemake.params.judged["settings"],
        runs=snakemake.params.judged["runs"],
        interpolation_accuracy=snakemake.params.interpolation_accuracy,
        confidence=snakemake.params.confidence,
        bootstrap_draws=snakemake.params.bootstrap_draws,
    )
