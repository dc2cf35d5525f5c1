from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/configuration.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/paths.smk"
include: "workflow/rules/parameters.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/checks.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/thin.smk"
include: "workflow/rules/analyse.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/publish.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/progress.smk"
include: "workflow/rules/end.smk"


# The targets' files are listed one by one: Snakemake hashes a list that stands for many files once
# for each of them.
rule all:
    default_target: True
    input:
        *rules.measurements.input,
        *rules.figures.input,
        *rules.tables.input,
        rules.write_report.output,


rule unknown_target:
    """Catch a misspelt target on the command line; it is refused while the graph is built."""
    output:
        "{unknown_target}",
    wildcard_constraints:
        unknown_target=r"[^/.]+",
    params:
        refusal=lambda wildcards: refuse(no_such_target(wildcards.unknown_target)),
