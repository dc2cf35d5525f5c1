from flatness.jobs import stages
from flatness.settings import training_plan


rule train_run:
    """Train one network; a run that was killed resumes from its last checkpoint."""
    input:
        dataset=dataset_of_run,
    output:
        checkpoints=f"{RESULTS}/runs/{{run}}/checkpoints.safetensors",
    log:
        f"{RESULTS}/logs/train_run/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_run/{{run}}.tsv"
    conda:
        ENVIRONMENT
    threads: settings.training.threads
    resources:
        mem_mb=memory(MEGABYTES),
        runtime=minutes(240),
        gpu=GPUS,
    params:
        plan=lambda wildcards: training_plan(settings, run_of(wildcards)),
        state=f"{RESULTS}/state/{{run}}",
        code=lambda wildcards: stages.training_code(network_of(wildcards)),
    message:
        "Training {wildcards.run}"
    script:
        "../scripts/train_run.py"
