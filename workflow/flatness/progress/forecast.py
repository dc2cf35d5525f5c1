"""How much of a workflow is done and how long the rest takes, from what its jobs took so far."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from flatness.progress.tasks import SECONDS, Task
from flatness.progress.told import Told

# Of what a time left is known: everything; something by comparison with jobs of another rule; not
# everything, so that it is a lower bound.
KNOWN, ABOUT, AT_LEAST = "", "~", ">"

# What is known of a group of jobs counts as much as this share of one job does, in groups that are
# closer. The beginning of a job tells little: the first steps are the slowest.
_GUESSED = 0.1


@dataclass
class Job:
    """One job of the workflow, as it stands.

    Args:
        task: what it has to do.
        running: whether it has begun and has not ended.
        told: what it has told of itself last.
        seconds: that it took; None if it has not finished.
        failed: whether its last attempt has.
    """

    task: Task
    running: bool = False
    told: Told | None = None
    seconds: float | None = None
    failed: bool = False

    @property
    def finished(self) -> bool:
        """Whether it is done."""
        return self.seconds is not None

    @property
    def share(self) -> float:
        """How much of it is done."""
        return 1.0 if self.finished else self.told.share if self.told and self.running else 0.0

    @property
    def units_per_second(self) -> float | None:
        """Iterations or checkpoints per second; None where that is not known."""
        if self.told is None or not self.told.seconds > 0:
            return None
        return self.task.units * (self.told.share - self.told.first) / self.told.seconds


@dataclass(frozen=True)
class Forecast:
    """How much of a workflow is done.

    Args:
        finished: number of jobs that are.
        jobs: number of all.
        share: of the time that it takes; None where that is not known.
        left: seconds that it still takes; None where nothing is known.
        certainty: of `left`: `KNOWN`, `ABOUT` or `AT_LEAST`.
    """

    finished: int
    jobs: int
    share: float | None
    left: float | None
    certainty: str = KNOWN


class _Evidence:
    """What jobs took for their work, by groups of jobs that are alike."""

    def __init__(self, jobs: Iterable[Job]):
        self._took: dict[Hashable, tuple[float, float]] = {}
        for job in jobs:
            first = job.told.first if job.told else 0.0
            if job.finished:
                self._add(job.task, job.seconds, 1 - first)
            elif job.running and job.told and job.told.share > first:
                self._add(job.task, job.told.seconds, job.told.share - first)

    def _add(self, task: Task, seconds: float, share: float) -> None:
        for group in task.alike:
            before = self._took.get(group, (0.0, 0.0))
            self._took[group] = before[0] + seconds, before[1] + share * task.work

    def seconds(self, task: Task) -> tuple[float, str] | None:
        """What a job takes from its beginning, and how certain that is; None if unknown."""
        rate, how = (None, ABOUT) if task.takes_long else (SECONDS, KNOWN)
        for group in reversed(task.alike):
            seconds, work = self._took.get(group, (0.0, 0.0))
            if work > 0:
                guessed = 0.0 if rate is None else _GUESSED * task.work
                rate = (seconds + guessed * (rate or 0.0)) / (work + guessed)
                how = KNOWN if group in task.alike[: max(len(task.alike) - 1, 1)] else ABOUT
        return None if rate is None else (rate * task.work, how)


def forecast(jobs: Mapping[Hashable, Job], at_a_time: int) -> Forecast:
    """How much of a workflow is done and how long the rest takes.

    The rest is shared by the jobs that run at a time, and takes no less than the jobs of any one
    run, which come one after the other. Jobs of a run in which one has failed are no part of it.

    Args:
        jobs: all jobs.
        at_a_time: how many run side by side.
    """
    evidence = _Evidence(jobs.values())
    failed = {job.task.run for job in jobs.values() if job.failed} - {None}
    spent = rest = 0.0
    chains: dict[str, float] = {}
    certainty, unknown, known = KNOWN, False, False
    for job in jobs.values():
        if job.finished:
            spent += job.seconds
            continue
        if job.failed or job.task.run in failed:
            continue
        found = evidence.seconds(job.task)
        if found is None:
            unknown = True
            continue
        known |= job.task.takes_long
        seconds, how = found
        certainty = max(certainty, how, key=(KNOWN, ABOUT).index)
        left = (1 - job.share) * _own(job, seconds)
        spent += job.share * _own(job, seconds)
        rest += left
        if job.task.run is not None:
            chains[job.task.run] = chains.get(job.task.run, 0.0) + left
    finished = sum(job.finished for job in jobs.values())
    if unknown and not known:
        return Forecast(finished, len(jobs), None, None)
    left = max(rest / max(at_a_time, 1), *chains.values(), 0.0)
    if unknown:
        return Forecast(finished, len(jobs), None, left, AT_LEAST)
    whole = spent + rest
    return Forecast(finished, len(jobs), spent / whole if whole else 1.0, left, certainty)


def _own(job: Job, seconds: float) -> float:
    """What a job takes as a whole: as others do, and more and more by its own pace."""
    told = job.told
    if not (job.running and told and told.share > told.first):
        return seconds
    begun = told.share - told.first
    weight = begun / (1 - told.first)
    return weight * told.seconds / begun + (1 - weight) * seconds
