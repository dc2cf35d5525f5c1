"""Put all analysed runs into one file."""

from flatness.jobs.log import job_log

with job_log(snakemake.log[0]):
    from pathlib import Path

    from flatness.publication.gathering import gather
    from flatness.settings import load_settings
    from flatness.storage import read_dataset, write_tree

    results = Path(snakemake.output.results)
    read_dataset(snakemake.input.analyses[0])  # figures may name quantities of one's own in it
    settings = load_settings(snakemake.params.settings, "the configuration")
    write_tree(gather(results.parent, settings, snakemake.params.runs), results)
