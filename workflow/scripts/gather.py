"""Put all analysed runs into one file."""

from flatness.joblog import job_log

with job_log(snakemake.log[0]):
    from flatness.publication.gathering import gather
    from flatness.settings import load_settings
    from flatness.storage import write_tree

    given = snakemake.params
    settings = load_settings(given.settings, "the configuration")
    write_tree(gather(given.folder, settings, given.runs), snakemake.output.results)
