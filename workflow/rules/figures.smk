from flatness.jobs import stages


localrules:
    draw_figure,


rule draw_figure:
    """One figure of the configuration."""
    input:
        analyses=analyses_of_figure,
    output:
        png=f"{RESULTS}/figures/{{figure}}.png",
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        svg=f"{RESULTS}/figures/{{figure}}.svg",
    log:
        f"{RESULTS}/logs/draw_figure/{{figure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/draw_figure/{{figure}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        kind=lambda wildcards: FIGURES[wildcards.figure].kind,
        title=lambda wildcards: settings.title_of(wildcards.figure),
        options=lambda wildcards: FIGURES[wildcards.figure].options(settings.analysis),
        code=lambda wildcards: stages.drawing_code(FIGURES[wildcards.figure].kind),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_figure.py"


rule figures:
    """All figures of the configuration."""
    input:
        expand(rules.draw_figure.output, figure=FIGURES),


for name in FIGURES:

    rule:
        name:
            name
        input:
            expand(rules.draw_figure.output, figure=name),
