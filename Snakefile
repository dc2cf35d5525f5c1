from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/configuration.smk"
include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/thin.smk"
include: "workflow/rules/analyse.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/publish.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/progress.smk"


# The targets' files are listed one by one: Snakemake hashes a list that stands for many files once
# for each of them.
rule all:
    default_target: True
    input:
        *rules.measurements.input,
        *rules.figures.input,
        *rules.tables.input,
        rules.describe_results.output,
