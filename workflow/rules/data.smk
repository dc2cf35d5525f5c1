# The only rule that may touch the network; it never leaves the machine Snakemake runs on.

from flatness.jobs import stages


localrules:
    prepare_dataset,


# Snakemake compares params with those of last time, and `config` it does not: where this machine
# keeps the images, the script takes from there.
rule prepare_dataset:
    """Select classes, draw the sample sets and write one file that all runs read."""
    input:
        source=source_at_hand,
    output:
        dataset=f"{RESULTS}/datasets/{{dataset}}.nc",
    log:
        f"{RESULTS}/logs/prepare_dataset/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_dataset/{{dataset}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(30),
    params:
        name=lambda wildcards: wildcards.dataset,
        dataset=lambda wildcards: settings.datasets[wildcards.dataset].identity(),
        code=lambda wildcards: stages.preparing_code(
            settings.datasets[wildcards.dataset].identity()
        ),
    message:
        "Preparing dataset {wildcards.dataset}"
    script:
        "../scripts/prepare_dataset.py"
