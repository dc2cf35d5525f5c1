"""Whether the configuration that is published is the one that the results were made with."""

from collections.abc import Sequence
from pathlib import Path

from flatness.analysis.analysed_run import AnalysedRun
from flatness.checking.files import first_line
from flatness.checking.step import Found
from flatness.publication.configuration import portable
from flatness.settings import Settings, as_yaml, table_of_runs, training_plan


def check_configuration(file: Path, settings: Settings, runs: Sequence[AnalysedRun]) -> Found:
    """Compare configuration.yaml with that in results.nc, and that with what each run says.

    Args:
        file: the configuration beside the results.
        settings: the configuration inside, with the seeds that have runs.
        runs: all runs of the results.
    """
    differing = []
    if not file.is_file():
        differing.append(f"{file}: is missing")
    else:
        there, here = file.read_text("utf-8", "replace"), as_yaml(portable(settings))
        if there != here:
            differing.append(f"{file}: {first_line(there, here)}")
    table = table_of_runs(settings)
    for run in runs:
        asked = training_plan(settings, table[run.id])
        for key in ("network", "loss", "learning_rate", "batch_size", "seed", "iterations"):
            if run.settings[key] != asked[key]:
                differing.append(
                    f"results.nc: {run.id} was trained with {key} = {run.settings[key]!r}, its "
                    f"configuration says {asked[key]!r}"
                )
                break
    said = f"{file.name} is that of results.nc, and {len(runs)} runs say they were trained with it"
    return Found(() if differing else (said,), tuple(differing))
