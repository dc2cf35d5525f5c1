"""What each figure shows, and what its configuration says of it.

A caption names network, dataset, loss and rates as a configuration has them: a figure of other
settings is not the paper's.
"""

from flatness.settings import runs_of_figure, table_of_runs, training_plan
from flatness.settings.model import Settings


def caption(name: str, settings: Settings) -> str:
    """The caption of one figure of a configuration.

    Args:
        name: such as "fig1".
        settings: that have the figure.
    """
    # Here, since every job reads the configuration and few need words for learning rates.
    from flatness.analysis.training_in_words import network_in_words, sgd_in_words

    figure = settings.figures[name]
    plans: dict[str, list[dict]] = {}
    for run in runs_of_figure(table_of_runs(settings), figure):
        plans.setdefault(run.study, []).append(training_plan(settings, run))
    shown = "; ".join(
        f"{network_in_words(of_study[0])} on {dataset}, "
        f"{sgd_in_words(of_study, settings.datasets[dataset].outputs)}"
        for study, of_study in plans.items()
        for dataset in [settings.studies[study].dataset]
    )
    return " ".join(filter(None, (f"{figure.shown}: {shown}.", figure.caption)))
