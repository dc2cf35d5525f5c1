"""The line's words."""

from collections.abc import Iterable, Sequence

from flatness.progress.forecast import Forecast, Job
from flatness.progress.tasks import MEASURING, TRAINING

_BETWEEN = " | "


def in_words(found: Forecast, running: Sequence[Job], width: int | None = None) -> str:
    """What is done, the time left, the rate and what runs, on one line.

    What runs is told by name where there is room, or else by numbers of jobs.

    Args:
        found: for the whole workflow.
        running: the jobs that do.
        width: characters that the line may have; None for as many as it takes.
    """
    share = "?" if found.share is None else f"{100 * min(found.share, 0.99):.0f}"
    if found.finished == found.jobs:
        share = "100"
    left = "?" if found.left is None else f"{found.certainty}{duration(found.left)}"
    jobs = f"{found.finished}/{found.jobs} jobs"
    parts = [f"{share} %", jobs, f"{left} left", *_rates(running)]
    lines = [
        _BETWEEN.join([*parts, what] if what else parts)
        for what in (_by_name(running), _by_number(running))
    ]
    fitting = [line for line in lines if width is None or len(line) <= width]
    return fitting[0] if fitting else f"{lines[-1][: width - 1]}…"


def duration(seconds: float) -> str:
    """A time in the units that matter, such as "3 h 20 min"."""
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def _rates(running: Iterable[Job]) -> list[str]:
    """Iterations and checkpoints in a time, of all running jobs together."""
    iterations = checkpoints = 0.0
    for job in running:
        rate = job.units_per_second or 0.0
        iterations += rate * (job.task.rule == TRAINING)
        checkpoints += rate * (job.task.rule in MEASURING)
    found = []
    if iterations:
        found.append(f"{iterations:,.0f} it/s")
    if checkpoints:
        found.append(f"{60 * checkpoints:,.1f} checkpoints/min")
    return found


def _by_name(running: Iterable[Job]) -> str:
    """Such as "training mlp_lr0.1_bs20_seed0 45 %, drawing fig1"."""
    return ", ".join(
        " ".join(filter(None, (job.task.verb, job.task.what, _percent([job])))) for job in running
    )


def _by_number(running: Iterable[Job]) -> str:
    """Such as "training 14 (3 to 90 %), measuring 2"."""
    by_verb: dict[str, list[Job]] = {}
    for job in running:
        by_verb.setdefault(job.task.verb, []).append(job)
    return ", ".join(
        f"{verb} {len(jobs)}" + (f" ({percent})" if (percent := _percent(jobs)) else "")
        for verb, jobs in by_verb.items()
    )


def _percent(jobs: Iterable[Job]) -> str:
    """How far jobs are that have told it."""
    told = sorted(f"{100 * job.share:3.0f}".strip() for job in jobs if job.told)
    told.sort(key=int)
    if not told:
        return ""
    return f"{told[0]} %" if told[0] == told[-1] else f"{told[0]} to {told[-1]} %"
