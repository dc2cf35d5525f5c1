# What came out, in one file, and in a folder small enough to be published.

from pathlib import Path

from flatness.jobs import stages
from flatness.publication.configuration import portable

TABLES = [
    rules.correlate.output.netcdf,
    *rules.correlate.output.csv,
    *rules.correlate.output.markdown,
    *rules.correlate.output.latex,
]
if ROLES:
    TABLES += [
        rules.judge_claims.output.csv,
        rules.judge_claims.output.markdown,
        rules.judge_claims.output.text,
        rules.judge_claims.output.sensitivity,
        rules.judge_claims.output.sensitivity_markdown,
    ]


localrules:
    gather,
    publish,


# All measurements are inputs, since the times of middle layers are told, too.
rule gather:
    """All analysed runs in one file, with what each took."""
    input:
        analyses=analyses(RUNS.values()),
        measurements=rules.measurements.input,
    output:
        results=f"{RESULTS}/part.nc",
    log:
        f"{RESULTS}/logs/gather/all.log",
    benchmark:
        f"{RESULTS}/benchmarks/gather/all.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        runs=list(RUNS),
        settings=portable(settings),
        code=stages.script_code("gather"),
    message:
        "Putting all runs into one file"
    script:
        "../scripts/gather.py"


rule part:
    """One part of a publication: what `flatness merge` and `flatness publish` take."""
    input:
        rules.gather.output,


rule publish:
    """One page with everything, its figures, tables and settings, made from the one file."""
    input:
        results=rules.gather.output.results,
    output:
        page=f"{RESULTS}/publication/README.md",
        netcdf=f"{RESULTS}/publication/results.nc",
        configuration=f"{RESULTS}/publication/configuration.yaml",
        tables=[f"{RESULTS}/publication/tables/{Path(path).name}" for path in TABLES],
        pictures=expand(f"{RESULTS}/publication/figures/{{figure}}.png", figure=FIGURES),
    log:
        f"{RESULTS}/logs/publish/all.log",
    benchmark:
        f"{RESULTS}/benchmarks/publish/all.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        code=stages.publishing_code(figure.kind for figure in FIGURES.values()),
        paper=stages.papers_settings_digest(),
    message:
        "Writing the page of the reproduction"
    script:
        "../scripts/publish.py"
