from flatness.jobs import stages


localrules:
    write_report,


report: "../report/workflow.rst"


rule write_report:
    """One page for a browser: claims, figures, and the tables behind them."""
    input:
        results=rules.gather.output.results,
        claims=rules.judge_claims.output.csv if ROLES else [],
        sensitivity=rules.judge_claims.output.sensitivity if ROLES else [],
        correlations=rules.correlate.output.netcdf,
        figures=expand(rules.draw_figure.output.svg, figure=FIGURES),
    output:
        page=report(
            f"{RESULTS}/report.html",
            caption="../report/page.rst",
            category="Results",
            labels={"page": "claims, figures, tables"},
        ),
    log:
        f"{RESULTS}/logs/write_report/all.log",
    benchmark:
        f"{RESULTS}/benchmarks/write_report/all.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=stages.reporting_code(),
        paper=stages.papers_settings_digest(),
    message:
        "Writing the report"
    script:
        "../scripts/write_report.py"
