# Quick jobs; they stay on the machine that Snakemake runs on.

from flatness.jobs import stages


localrules:
    analyse_run,
    correlate,
    judge_claims,


rule analyse_run:
    """Compute quantities and both sides of every inequality; stop if one is violated."""
    input:
        measurements=rules.measure_run.output.measurements,
    output:
        analysis=f"{RESULTS}/analysis/{{run}}.nc",
    log:
        f"{RESULTS}/logs/analyse_run/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/analyse_run/{{run}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        study=lambda wildcards: run_of(wildcards).study,
        powers=settings.analysis.bound_powers,
        quantities=settings.quantities,
        code=stages.analysing_code(settings.quantities),
    message:
        "Analysing {wildcards.run}"
    script:
        "../scripts/analyse_run.py"


rule correlate:
    """Correlate the final quantities of the runs of each study."""
    input:
        analyses=analyses(RUNS.values()),
    output:
        netcdf=f"{RESULTS}/tables/correlations.nc",
        csv=expand(f"{RESULTS}/tables/correlations_{{study}}.csv", study=STUDIES),
        markdown=expand(f"{RESULTS}/tables/correlations_{{study}}.md", study=STUDIES),
        latex=expand(f"{RESULTS}/tables/correlations_{{study}}.tex", study=STUDIES),
    log:
        f"{RESULTS}/logs/correlate/all.log",
    benchmark:
        f"{RESULTS}/benchmarks/correlate/all.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        studies=STUDIES,
        sample_set=settings.analysis.sample_set,
        confidence=settings.analysis.confidence,
        bootstrap_draws=settings.analysis.bootstrap_draws,
        code=stages.script_code("correlate"),
    message:
        "Correlating final quantities"
    script:
        "../scripts/correlate.py"


rule judge_claims:
    """Test the paper's claims about the roles that studies play, and under other choices."""
    input:
        analyses=analyses(run for run in RUNS.values() if run.study in ROLES.values()),
    output:
        csv=f"{RESULTS}/tables/claims.csv",
        markdown=f"{RESULTS}/tables/claims.md",
        text=f"{RESULTS}/tables/claims.txt",
        sensitivity=f"{RESULTS}/tables/sensitivity.csv",
        sensitivity_markdown=f"{RESULTS}/tables/sensitivity.md",
    log:
        f"{RESULTS}/logs/judge_claims/all.log",
    benchmark:
        f"{RESULTS}/benchmarks/judge_claims/all.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        roles=ROLES,
        judged=what_is_judged,
        interpolation_accuracy=settings.analysis.interpolation_accuracy,
        confidence=settings.analysis.confidence,
        bootstrap_draws=settings.analysis.bootstrap_draws,
        code=stages.script_code("judge_claims"),
        paper=stages.papers_settings_digest(),
    message:
        "Judging the claims"
    script:
        "../scripts/judge_claims.py"


rule claims:
    """The table of claims; nothing where no study plays a role in them."""
    input:
        rules.judge_claims.output if ROLES else [],


rule tables:
    """All tables."""
    input:
        rules.correlate.output,
        rules.claims.input,
