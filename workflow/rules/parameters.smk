# What rules hand to their scripts, where that takes more than a line.

from collections import Counter

from flatness.publication.configuration import portable, with_seeds


def network_of(wildcards):
    """The network that a run trains, as a mapping."""
    return settings.studies[run_of(wildcards).study].network.model_dump()


def curvature_options(wildcards):
    """How the trace of the loss Hessian is measured, if it is."""
    if not settings.measuring.hessian_trace:
        return None
    return {
        "probes": settings.measuring.hessian_probes,
        "exact_products": settings.measuring.hessian_exact_products,
    }


def what_is_judged(wildcards):
    """The settings that say what the study is, with the seeds and the numbers of runs here."""
    seeds = {}
    for run in RUNS.values():
        seeds.setdefault(run.study, set()).add(run.seed)
    mapping = portable(with_seeds(settings, seeds))
    for study in mapping["studies"].values():
        study.pop("middle_layers", None)  # no claim is about them
    return {
        "settings": {key: mapping[key] for key in ("datasets", "studies", "measuring", "analysis")},
        "runs": dict(Counter(run.study for run in RUNS.values())),
    }
