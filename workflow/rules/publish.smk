# What came out, in a folder small enough to be published.

TABLES = [
    rules.correlate.output.netcdf,
    *rules.correlate.output.csv,
    *rules.correlate.output.markdown,
    *rules.correlate.output.latex,
    rules.judge_claims.output.csv,
    rules.judge_claims.output.markdown,
    rules.judge_claims.output.text,
    rules.judge_claims.output.sensitivity,
    rules.judge_claims.output.sensitivity_markdown,
]


localrules:
    publish,


# All measurements are inputs, since the times of middle layers are told, too.
rule publish:
    """One page with everything, its figures, tables and settings, and a file all tables come from."""
    input:
        analyses=analyses(RUNS.values()),
        measurements=rules.measurements.input,
        tables=TABLES,
        claims=rules.judge_claims.output.csv,
        correlations=rules.correlate.output.netcdf,
        pictures=expand(rules.draw_figure.output.png, figure=FIGURES),
        template=str(REPOSITORY / "workflow/report/reproduction.md"),
        paper=str(PAPER),
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
        analyses={study: analyses(runs_of_study(RUNS, study)) for study in settings.studies},
        settings=settings.published(),
        configuration=settings.published(exclude_none=True),
        figures=lambda wildcards: [
            {
                "name": name,
                "title": settings.figures.title(name),
                "caption": caption(name, settings),
            }
            for name in FIGURES
        ],
        most_bytes=300_000,
        benchmarks=benchmark_files(),
        code=stages.publishing_code(),
    message:
        "Writing the page of the reproduction"
    script:
        "../scripts/publish.py"
