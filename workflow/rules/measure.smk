from flatness.jobs import stages


rule measure_run:
    """Measure every checkpoint of one run, or one of its layers, into one netCDF file."""
    input:
        checkpoints=rules.train_run.output.checkpoints,
        dataset=dataset_of_run,
    output:
        measurements=f"{RESULTS}/measurements/{{run}}.nc",
    log:
        f"{RESULTS}/logs/measure_run/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_run/{{run}}.tsv"
    priority: 1  # before runs that wait for training: results are there early, states away
    conda:
        ENVIRONMENT
    threads: settings.training.threads
    resources:
        mem_mb=memory(MEGABYTES),
        runtime=minutes(60),
        gpu=GPUS,
    params:
        dataset_name=lambda wildcards: run_of(wildcards).dataset,
        chunk_size=settings.measuring.chunk_size,
        minibatch_window=settings.measuring.minibatch_window,
        curvature_options=curvature_options,
        layer=None,
        code=lambda wildcards: stages.measuring_code(network_of(wildcards)),
    message:
        "Measuring {wildcards.run}"
    script:
        "../scripts/measure_run.py"


use rule measure_run as measure_layer with:
    output:
        measurements=f"{RESULTS}/middle_layers/{{run}}/{{layer}}.nc",
    log:
        f"{RESULTS}/logs/measure_layer/{{run}}/{{layer}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_layer/{{run}}/{{layer}}.tsv"
    params:
        dataset_name=lambda wildcards: run_of(wildcards).dataset,
        chunk_size=settings.measuring.chunk_size,
        minibatch_window=settings.measuring.minibatch_window,
        curvature_options=None,
        layer=lambda wildcards: wildcards.layer,
        code=lambda wildcards: stages.measuring_code(network_of(wildcards)),
    message:
        "Measuring layer {wildcards.layer} of {wildcards.run}"


rule measurements:
    """All runs trained and measured."""
    input:
        expand(rules.measure_run.output.measurements, run=RUNS),
        [
            rules.measure_layer.output.measurements.format(run=run, layer=layer)
            for run, layers in MIDDLE_LAYERS.items()
            for layer in layers
        ],
