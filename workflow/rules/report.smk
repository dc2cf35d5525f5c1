from flatness.jobs import stages


localrules:
    describe_results,


report: "../report/workflow.rst"


rule describe_results:
    """The first page of the report: claims, settings, hardware, versions and wall time."""
    input:
        claims=rules.judge_claims.output.csv if ROLES else [],
        results=rules.gather.output.results,
    output:
        page=report(
            f"{RESULTS}/report/overview.html",
            caption="../report/overview.rst",
            category="Overview",
            labels={"page": "claims, settings, hardware, wall time"},
        ),
    log:
        f"{RESULTS}/logs/describe_results/all.log",
    benchmark:
        f"{RESULTS}/benchmarks/describe_results/all.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=stages.script_code("describe_results"),
        paper=stages.papers_settings_digest(),
    message:
        "Describing the results"
    script:
        "../scripts/describe_results.py"
