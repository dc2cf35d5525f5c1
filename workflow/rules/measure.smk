rule measure_run:
    """Measure every checkpoint of one run into one netCDF file."""
    input:
        checkpoints=rules.train_run.output.checkpoints,
        dataset=dataset_of_run,
    output:
        measurements=f"{RESULTS}/measurements/{{run}}.nc",
    log:
        f"{RESULTS}/logs/measure_run/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_run/{{run}}.tsv"
    conda:
        ENVIRONMENT
    threads: settings.training.threads
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        dataset_name=lambda wildcards: RUNS[wildcards.run].dataset,
        chunk_size=settings.measuring.chunk_size,
        minibatch_window=settings.measuring.minibatch_window,
        code=lambda wildcards: stages.measuring_code(study_of(wildcards).network.model_dump()),
    message:
        "Measuring {wildcards.run}"
    script:
        "../scripts/measure_run.py"


rule measurements:
    """All runs trained and measured."""
    input:
        expand(rules.measure_run.output.measurements, run=RUNS),
