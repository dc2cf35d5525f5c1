# Which checkpoints stay on the disk once everything is measured. No rule has the thinned files as
# output, and no rule's parameters tell what is kept: changing the setting must not train anything.

KEEP = settings.training.keep_checkpoints


localrules:
    thin,


rule thin:
    """Thin runs now; Snakemake does nothing at the end of a call that had nothing to do."""
    log:
        f"{RESULTS}/logs/thin/all.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        runs=needing_checkpoints(),
        keep=KEEP,
    message:
        "Keeping {params.keep} of the checkpoints of measured runs"
    script:
        "../scripts/thin.py"
