"""Test the claims, as they are and under other choices, and write the tables in every form."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from pathlib import Path

    from flatness.analysis.analysed_run import AnalysedRun
    from flatness.analysis.claims import judge, sensitivity, with_sensitivity
    from flatness.analysis.groups import by_study
    from flatness.publication.deviations import nature
    from flatness.publication.paper import papers_settings
    from flatness.storage import read_dataset
    from flatness.tables.claim_files import write_claims
    from flatness.tables.sensitivity_table import write_page

    runs = by_study(AnalysedRun(read_dataset(path)) for path in snakemake.input.analyses)
    studies = {role: runs.get(study, []) for role, study in snakemake.params.roles.items()}
    options = {
        "interpolation_accuracy": snakemake.params.interpolation_accuracy,
        "confidence": snakemake.params.confidence,
        "resamples": snakemake.params.draws,
    }
    judged = snakemake.params.judged
    verdicts = judge(studies, **options)
    alternatives = sensitivity(studies, verdicts, **options)
    verdicts = with_sensitivity(verdicts, alternatives)
    write_claims(
        verdicts,
        alternatives,
        Path(snakemake.output.csv).parent,
        nature=nature(judged["settings"], papers_settings().published(), judged["runs"]).sentence,
    )
    write_page(verdicts, alternatives, snakemake.output.page)
