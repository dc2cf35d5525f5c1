localrules:
    trend_figure,


rule trend_figure:
    """Six quantities against the iteration, one curve per setting."""
    input:
        measurements=measurements_of_figure,
        style=STYLE,
    output:
        png=report(
            f"{RESULTS}/figures/{{figure}}.png",
            category="Trends",
            labels={"figure": "{figure}"},
        ),
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
    log:
        f"{RESULTS}/logs/trend_figure/{{figure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/trend_figure/{{figure}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        title=lambda wildcards: settings.figures.title(wildcards.figure),
        compare=lambda wildcards: FIGURES[wildcards.figure].compare,
        sample_set=lambda wildcards: FIGURES[wildcards.figure].sample_set,
        confidence=settings.analysis.confidence,
        interpolation_accuracy=settings.analysis.interpolation_accuracy,
        code=stages.drawing_code(),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/trend_figure.py"


rule figures:
    """All figures of the configuration."""
    input:
        expand(rules.trend_figure.output, figure=FIGURES),


for name in FIGURES:

    rule:
        name:
            name
        input:
            expand(rules.trend_figure.output, figure=name),


rule unknown_figure:
    """Catch a misspelt figure on the command line; it is refused while the graph is built."""
    output:
        "{unknown_figure}",
    wildcard_constraints:
        unknown_figure=r"[Ff][Ii][Gg][^/]*",
    params:
        refusal=lambda wildcards: refuse(
            f"{PLACE}: {wildcards.unknown_figure!r} is no figure. "
            f"Allowed: {', '.join(['figures', *FIGURES])}. "
            "Ask for one of these, or add it to `figures` in the configuration."
        ),
