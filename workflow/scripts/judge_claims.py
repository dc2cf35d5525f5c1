"""Test the claims and write the table in every form."""

from flatness.joblog import job_log

with job_log(snakemake.log[0]):
    from flatness.analysis.claims import judge
    from flatness.storage import read_dataset
    from flatness.tables.claim_table import write_csv, write_markdown, write_text

    verdicts = judge(
        [read_dataset(path) for path in snakemake.input.vgg10],
        [read_dataset(path) for path in snakemake.input.mlp],
        interpolation_accuracy=snakemake.params.interpolation_accuracy,
        confidence=snakemake.params.confidence,
        resamples=snakemake.params.draws,
    )
    write_csv(verdicts, snakemake.output.csv)
    write_markdown(verdicts, snakemake.output.markdown)
    write_text(verdicts, snakemake.output.text)
