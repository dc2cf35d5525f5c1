"""Processes that are killed, by signals that can be caught and by one that cannot."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial

from tests.faults.fault import Fault
from tests.faults.study import PRODUCT, LostError, Study

_ANY = tuple(PRODUCT)
_OTHER = tuple(rule for rule in PRODUCT if rule not in ("train_run", "measure_run"))
_TRIES = 20
_KILLS = 4  # of one job after the other in one call of Snakemake


def kill_job(rules: tuple[str, ...], study: Study, draw: random.Random) -> Iterator[str]:
    """Kill a job, and those that Snakemake starts in its place, which it is told to do."""
    rule, killed = draw.choice(rules), 0
    process = study.start_again(rule, "--retries", str(_KILLS))
    while killed < _KILLS:
        saved = study.saved
        if not (job := study.job_under_way(rule, process, draw)):
            break
        os.kill(job, signal.SIGKILL)
        while job in study.jobs(rule):
            time.sleep(0.03)
        killed += 1
        yield _described(study, rule, saved)
        study.log(rule).unlink(missing_ok=True)
    status = process.wait()
    said = study.said(process)
    if status or said.count(f"Error in rule {rule}") != killed:
        raise LostError(f"exit status {status}, {killed} jobs were killed, but it says:\n{said}")


def send(
    sent: signal.Signals,
    victim: Callable[[int, signal.Signals], None],
    rules: tuple[str, ...],
    study: Study,
    draw: random.Random,
) -> Iterator[str]:
    """Send a signal to Snakemake, or to its process group, while a job runs."""
    for _ in range(_TRIES):
        rule = draw.choice(rules)
        saved = 0 if study.jobs(rule) else study.saved  # one that was left alone may be done soon
        process = study.start_again(rule)
        if study.job_under_way(rule, process, draw):
            if sent is signal.SIGINT:  # before it has a log, Python itself is starting
                while process.poll() is None and not study.log(rule).exists():
                    time.sleep(0.03)
            if process.poll() is None:
                victim(process.pid, sent)
        status = process.wait()
        study.said(process)
        if status:  # else all was done before
            yield _described(study, rule, saved)
            return
    raise LostError(f"{sent} had no effect in {_TRIES} calls")


def _described(study: Study, rule: str, saved: int) -> str:
    """Where a job was hit; a training run must have gone on from what was saved before."""
    lines = study.logged(rule)
    trained = [line for line in lines if "iteration" in line]  # the device is told before
    if rule == "train_run" and saved and trained and "resuming at iteration" not in trained[0]:
        raise LostError(f"{saved} checkpoints were saved, but training begins: {trained[0]}")
    return f"{rule} after {len(lines)} lines of its log"


FAULTS = [
    Fault("processes", f"SIGKILL of {whom}", partial(kill_job, rules), calls)
    for whom, rules, calls in (
        ("a training job", ("train_run",), 7),
        ("a measuring job", ("measure_run",), 6),
        ("any other job", _OTHER, 5),
    )
] + [
    Fault("processes", f"{words} {whom}", partial(send, sent, victim, _ANY), calls)
    for words, sent, whom, victim, calls in (
        ("SIGKILL of", signal.SIGKILL, "Snakemake itself", os.kill, 12),
        ("SIGKILL of", signal.SIGKILL, "the whole process group", os.killpg, 16),
        ("SIGTERM to", signal.SIGTERM, "Snakemake", os.kill, 4),
        ("SIGINT to", signal.SIGINT, "the whole process group", os.killpg, 6),
    )
]
