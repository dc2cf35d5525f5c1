"""What schedulers do to jobs: requeue, cancel, a node that fails, a time limit."""

import atexit
import os
import random
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from threading import Lock

from tests.faults.fault import Fault
from tests.faults.study import Kind, LostError, Study, one_run
from tests.workflow import slurm_cluster
from tests.workflow.slurm_cluster import Cluster

_PROFILE = ("--profile", "slurm", *slurm_cluster.QUICK)
_SECONDS = 300
_ONE_AT_A_TIME = Lock()
_SUBMITTED = re.compile(r"submitted with SLURM jobid (\d+)")


def _long_run(config: dict) -> None:
    """Long enough for a job to start and be hit."""
    one_run(config)
    config["device"] = "auto"  # so that jobs ask for a GPU, which the cluster makes up
    config["studies"]["mlp"].update(iterations=20_000, checkpoints={"early": 5, "late": 60})


ON_SLURM = Kind("on a cluster", _long_run, in_one_study=6)


@cache
def _missing() -> str:
    return slurm_cluster.missing()


@cache
def _started() -> Cluster:
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="flatness_cluster_")))
    atexit.register(cluster.stop)
    cluster.start()
    return cluster


def _cluster() -> Cluster:
    """One for all studies, which come from several threads; a machine has no room for another."""
    with _ONE_AT_A_TIME:
        return _started()


def _disturbed(
    hit: Callable[[Cluster, str], None],
    rules: tuple[str, ...],
    limits: tuple[str, ...],
    study: Study,
    draw: random.Random,
) -> Iterator[str]:
    """Start the documented command, hit a job that runs, and let the scheduler go on."""
    cluster, rule = _cluster(), draw.choice(rules)
    study.recover(study.product("measure_run"))
    study.forget(rule)
    study.leave_running(study.start(*limits, *_PROFILE, study.product(rule)))
    job = _wait_until(study, lambda: _job_under_way(cluster, study, rule))
    time.sleep(draw.uniform(0, 3))
    lines = len(study.logged(rule))
    hit(cluster, job)
    yield f"{rule} after {lines} lines of its log"


def _job_under_way(cluster: Cluster, study: Study, rule: str) -> str:
    """The job that the study has submitted last, once its script runs."""
    submitted = _SUBMITTED.findall(study.said(study.running))
    under_way = submitted and submitted[-1] in cluster.jobs("running") and study.jobs(rule)
    return submitted[-1] if under_way else ""


def _wait_until(study: Study, answer: Callable[[], str]) -> str:
    ends = time.monotonic() + _SECONDS
    while not (found := answer()):
        if time.monotonic() > ends or study.running.poll() is not None:
            raise LostError(f"no job runs:\n{study.said(study.running)}")
        time.sleep(0.1)
    return found


def _requeue(cluster: Cluster, job: str) -> None:
    cluster.call("scontrol", "requeue", job)
    cluster.start_requeued()


def _cancel(cluster: Cluster, job: str) -> None:
    cluster.call("scancel", job)


def _node_down(cluster: Cluster, job: str) -> None:
    """Take the node away from its jobs, and bring it back."""
    name = cluster.call("sinfo", "--noheader", "--format", "%n").strip()
    cluster.call("scontrol", "update", f"nodename={name}", "state=down", "reason=test")
    time.sleep(2)
    # Refused where the node has come back by itself.
    cluster.call("scontrol", "update", f"nodename={name}", "state=resume", check=False)
    cluster.start_requeued()


def _time_limit(cluster: Cluster, job: str) -> None:
    """Stop the job's processes until its limit ends them."""
    for pid in re.findall(r"^(\d+)", cluster.call("scontrol", "listpids", job), re.MULTILINE):
        os.kill(int(pid), signal.SIGSTOP)
    ends = time.monotonic() + _SECONDS
    while job not in cluster.jobs("timeout"):
        if time.monotonic() > ends:
            raise LostError("the time limit is not enforced")
        time.sleep(0.5)


_RULES = ("train_run", "train_run", "measure_run")
# A small machine has not 8 GB, and twice as much for another attempt.
_SMALL = ("--set-resources", "train_run:mem_mb=2000", "measure_run:mem_mb=2000")
# SLURM's shortest is a minute; the second attempt gets two.
_A_MINUTE = (*_SMALL, "train_run:runtime=attempt", "measure_run:runtime=attempt")

FAULTS = [
    Fault("SLURM", name, partial(_disturbed, hit, _RULES, limits), times, ON_SLURM, _missing)
    for name, hit, limits, times in (
        ("scontrol requeue", _requeue, _SMALL, 4),
        ("scancel", _cancel, _SMALL, 4),
        ("node down and resume", _node_down, _SMALL, 3),
        ("time limit hit", _time_limit, _A_MINUTE, 2),
    )
]
