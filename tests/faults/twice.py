"""The same work started twice at once."""

import os
import random
import signal
import time
from collections.abc import Iterator

from tests.faults.fault import Fault
from tests.faults.study import LostError, Study

_RULES = ("train_run", "measure_run", "analyse_run")


def _second_snakemake(study: Study, draw: random.Random) -> Iterator[str]:
    """A second Snakemake in the same folder is refused, and the first does not notice."""
    job = 0
    while not job:
        rule = draw.choice(_RULES)
        first = study.start_again(rule)
        job = study.job_under_way(rule, first, draw)
    os.kill(job, signal.SIGSTOP)  # however long the second takes to start
    try:
        study.refused("cannot be locked", "--rerun-incomplete", study.product(rule))
    finally:
        os.kill(job, signal.SIGCONT)
    yield rule
    if first.wait():
        raise LostError(f"the first Snakemake was disturbed:\n{study.said(first)}")


def _second_job(study: Study, draw: random.Random) -> Iterator[str]:
    """Two processes do the same job; in half of the cases one of them is killed."""
    rule, killed = draw.choice(_RULES), draw.random() < 0.5
    first = study.start_again(rule, "--nolock")
    time.sleep(draw.uniform(0, 2))
    second = study.start("--rerun-incomplete", "--nolock", study.product(rule))
    job = study.job_under_way(rule, first, draw)
    if killed and job:
        os.kill(job, signal.SIGKILL)
    for process in (first, second):
        process.wait()
        study.said(process)
    yield f"{rule}, {'one of them killed' if killed and job else 'both to the end'}"


FAULTS = [
    Fault("twice", "a second Snakemake at the same time", _second_snakemake, 4),
    Fault("twice", "the same job twice at the same time", _second_job, 8),
]
