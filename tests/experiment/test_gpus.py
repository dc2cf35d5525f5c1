"""Processes that share the GPUs of one machine; the GPUs' names are made up."""

import subprocess
import sys
import uuid
from collections import Counter
from types import SimpleNamespace

import pytest
import torch

from flatness.experiment import device
from flatness.experiment.gpus import RUNS_PER_GPU, claim

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


@pytest.fixture
def gpus():
    """Names that no other test uses."""
    return [f"{name}-{uuid.uuid4()}" for name in ("first", "second", "third")]


@pytest.fixture
def start(gpus):
    """Start processes that claim a GPU and hold it until they are told to end."""
    running = []

    def job():
        code = (
            "import sys; from flatness.experiment.gpus import claim;"
            "print(claim(sys.argv[1:]), flush=True); sys.stdin.read()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, *gpus],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield job
    for process in running:
        process.kill()
        process.wait()


def _taken(process) -> int:
    return int(process.stdout.readline())


def test_jobs_that_start_at_once_are_spread(start, gpus):
    jobs = [start() for _ in range(9)]
    assert Counter(map(_taken, jobs)) == {0: 3, 1: 3, 2: 3}


def test_no_gpu_is_shared_while_another_is_free(start):
    jobs = [start() for _ in range(6)]
    taken = [_taken(job) for job in jobs]
    for job, gpu in zip(jobs, taken, strict=True):
        if gpu == 1:
            job.kill()
            job.wait()
    assert [_taken(start()), _taken(start())] == [1, 1]


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_a_killed_job_gives_its_gpu_back(start, how):
    first = start()
    assert _taken(first) == 0
    assert _taken(start()) == 1
    getattr(first, how)()
    first.wait()
    assert _taken(start()) == 0


def test_runs_that_may_share_fill_one_gpu_before_the_next(start, monkeypatch):
    monkeypatch.setenv(RUNS_PER_GPU, "2")
    jobs = [start() for _ in range(4)]
    for job in jobs:  # who comes first is not known, but how many share is
        job.taken = _taken(job)
    assert sorted(job.taken for job in jobs) == [0, 0, 1, 1]
    ended = next(job for job in jobs if job.taken == 0)
    ended.kill()
    ended.wait()
    assert [_taken(start()) for _ in range(3)] == [0, 2, 2]
    assert _taken(start()) == 0, "where none has room, the one with fewest"


def test_one_process_that_claims_twice(gpus):
    assert [claim(gpus) for _ in range(4)] == [0, 1, 2, 0]


@pytest.fixture
def driver_of(monkeypatch):
    """A function: let torch see GPUs of these names; returns those it makes current."""

    def install(names):
        current = []
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
        monkeypatch.setattr(
            torch.cuda, "get_device_properties", lambda k: SimpleNamespace(uuid=names[k])
        )
        monkeypatch.setattr(torch.cuda, "set_device", current.append)
        return current

    return install


def test_a_job_computes_on_the_gpu_that_it_took(driver_of, start, gpus):
    """What is chosen is made torch's current device."""
    assert _taken(start()) == 0
    current = driver_of(gpus)
    assert device._gpu() == torch.device("cuda", 1)
    assert current == [1]


def test_a_process_takes_one_gpu_however_often_it_asks(driver_of, start, gpus):
    """As `verify` does, once for each run."""
    driver_of(gpus)
    assert [device._gpu().index for _ in range(4)] == [0, 0, 0, 0]
    assert [_taken(start()) for _ in range(2)] == [1, 2]
