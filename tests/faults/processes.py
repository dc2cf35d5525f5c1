"""Processes that are killed, by signals that can be caught and by one that cannot."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial

from fault import Fault
from study import PRODUCT, LostError, Study

Victim = Callable[[subprocess.Popen, int, signal.Signals], None]
_TRAINING, _MEASURING = ("train_run",), ("measure_run",)
_ANY = tuple(PRODUCT)
_OTHER = tuple(rule for rule in PRODUCT if rule not in _TRAINING + _MEASURING)


def _job(process: subprocess.Popen, job: int, sent: signal.Signals) -> None:
    os.kill(job, sent)


def _snakemake(process: subprocess.Popen, job: int, sent: signal.Signals) -> None:
    os.kill(process.pid, sent)


def everything(process: subprocess.Popen, job: int, sent: signal.Signals) -> None:
    os.killpg(process.pid, sent)


def send(
    sent: signal.Signals,
    victim: Victim,
    rules: tuple[str, ...],
    study: Study,
    draw: random.Random,
) -> str:
    """Start the documented command for what a rule makes, and send a signal while its job runs.

    A training run must go on from what it had saved.
    """
    job = 0
    while not job:
        rule = draw.choice(rules)
        saved = not study.jobs(rule) and len(list(study.state.glob("[0-9]*")))
        process = study.start_again(rule)
        job = study.job_under_way(rule, process, draw)
    if sent is signal.SIGINT:  # before it has a log, Python itself is starting
        while process.poll() is None and not study.log(rule).exists():
            time.sleep(0.01)
    victim(process, job, sent)
    process.wait()
    said = study.said(process)
    if victim is _job and f"Error in rule {rule}" not in said:
        raise LostError(f"the terminal does not name the job that was killed:\n{said}")
    lines = study.logged(rule)
    if rule == "train_run" and saved and lines and "resuming at iteration" not in lines[0]:
        raise LostError(f"{saved} checkpoints were saved, but the log begins: {lines[0]}")
    return f"{rule} after {len(lines)} lines of its log"


FAULTS = [
    Fault("killed processes", f"{words} {whom}", partial(send, sent, victim, rules), injections)
    for words, sent, whom, victim, rules, injections in (
        ("SIGKILL of", signal.SIGKILL, "a training job", _job, _TRAINING, 25),
        ("SIGKILL of", signal.SIGKILL, "a measuring job", _job, _MEASURING, 18),
        ("SIGKILL of", signal.SIGKILL, "any other job", _job, _OTHER, 12),
        ("SIGKILL of", signal.SIGKILL, "Snakemake itself", _snakemake, _ANY, 12),
        ("SIGKILL of", signal.SIGKILL, "the whole process group", everything, _ANY, 16),
        ("SIGTERM to", signal.SIGTERM, "Snakemake", _snakemake, _ANY, 4),
        ("SIGINT to", signal.SIGINT, "the whole process group", everything, _ANY, 6),
    )
]
