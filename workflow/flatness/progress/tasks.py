"""What the jobs of the workflow have to do, from the settings."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from flatness.experiment.schedule import checkpoint_iterations
from flatness.settings.model import Settings
from flatness.settings.run import Run

# How many iterations of training take as long as measuring one checkpoint: from 130 to 580 for the
# paper's networks, on a CPU and on a GPU. It counts only until one such job has told better.
ITERATIONS_PER_CHECKPOINT = 200
# What a job of any other rule takes, in seconds, until one has told better. Most of it is starting.
SECONDS = 5.0

TRAINING, MEASURING = "train_run", ("measure_run", "measure_layer")
_VERBS = {
    "prepare_dataset": "preparing",
    TRAINING: "training",
    **dict.fromkeys(MEASURING, "measuring"),
    "analyse_run": "analysing",
    "correlate": "correlating",
    "judge_claims": "judging claims",
    "draw_figure": "drawing",
    "gather": "gathering",
    "publish": "publishing",
    "write_report": "writing the report",
}


@dataclass(frozen=True)
class Task:
    """What one job has to do.

    Args:
        rule: which makes it.
        what: it is done to, in the words of the workflow: a run, a dataset, a figure.
        run: id of the run that it belongs to; None if to none.
        units: iterations of training or checkpoints to measure; 0 for jobs of seconds.
        work: what it takes, in iterations of training; in jobs for those of seconds.
        alike: names of groups of jobs that take about as long for the same work, closest first.
            Only the last, if there are several, has jobs of other rules in it.
    """

    rule: str
    what: str
    run: str | None
    units: int
    work: float
    alike: tuple[Hashable, ...]

    @property
    def verb(self) -> str:
        """What is done, in a word."""
        return _VERBS.get(self.rule, self.rule.replace("_", " "))

    @property
    def takes_long(self) -> bool:
        """Whether it trains or measures."""
        return self.units > 0


def task_of(
    rule: str, wildcards: Mapping[str, str], settings: Settings, runs: Mapping[str, Run]
) -> Task:
    """What the job of a rule has to do.

    Args:
        rule: its name.
        wildcards: those of the job.
        settings: the configuration.
        runs: the table of runs.
    """
    name = wildcards.get("run")
    what = " ".join(map(str, wildcards.values()))
    if rule != TRAINING and rule not in MEASURING:
        return Task(rule, what, name, units=0, work=1.0, alike=(rule,))
    run = runs[name]
    study = settings.studies[run.study]
    units = study.iterations
    if rule in MEASURING:
        early, late = study.checkpoints.early, study.checkpoints.late
        units = len(checkpoint_iterations(study.iterations, early, late))
    return Task(
        rule,
        what,
        name,
        units=units,
        work=float(units if rule == TRAINING else units * ITERATIONS_PER_CHECKPOINT),
        alike=((rule, run.study, run.batch_size), (rule, run.study), run.study),
    )
