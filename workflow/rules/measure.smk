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
        curvature_options=curvature_options,
        code=lambda wildcards: stages.measuring_code(study_of(wildcards).network.model_dump()),
    message:
        "Measuring {wildcards.run}"
    script:
        "../scripts/measure_run.py"


rule measure_layer:
    """Measure the output of one middle layer at every checkpoint of one run."""
    input:
        checkpoints=rules.train_run.output.checkpoints,
        dataset=dataset_of_run,
    output:
        measurements=f"{RESULTS}/middle_layers/{{run}}/{{layer}}.nc",
    log:
        f"{RESULTS}/logs/measure_layer/{{run}}/{{layer}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_layer/{{run}}/{{layer}}.tsv"
    conda:
        ENVIRONMENT
    threads: settings.training.threads
    resources:
        mem_mb=memory(4000),
        runtime=minutes(240),
    params:
        dataset_name=lambda wildcards: RUNS[wildcards.run].dataset,
        layer=lambda wildcards: wildcards.layer,
        chunk_size=settings.measuring.chunk_size,
        minibatch_window=settings.measuring.minibatch_window,
        code=lambda wildcards: stages.measuring_code(study_of(wildcards).network.model_dump()),
    message:
        "Measuring layer {wildcards.layer} of {wildcards.run}"
    script:
        "../scripts/measure_layer.py"


rule measurements:
    """All runs trained and measured."""
    input:
        expand(rules.measure_run.output.measurements, run=RUNS),
        [
            rules.measure_layer.output.measurements.format(run=run, layer=layer)
            for run, layers in MIDDLE_LAYERS.items()
            for layer in layers
        ],
