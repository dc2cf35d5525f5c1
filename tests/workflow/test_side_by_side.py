"""Runs side by side in one job, as slurm/side_by_side.sh starts them; no SLURM is needed for it.

test_slurm.py submits the script to a real cluster.
"""

import contextlib
import os
import signal
import subprocess
import time

import pytest

RUNS = ("mlp_lr0.1_bs20_seed0", "mlp_lr0.2_bs20_seed0")
TARGETS = [f"results/small/runs/{run}/checkpoints.safetensors" for run in RUNS]
SECONDS = 200


@pytest.fixture
def start(workflow):
    """Start the script as SLURM would start a job of two CPUs."""
    started = []

    def job():
        with (workflow.folder / "job.txt").open("a") as said:
            process = subprocess.Popen(
                workflow.side_by_side(*TARGETS),
                env=workflow.environment | {"SLURM_CPUS_PER_TASK": "2"},
                cwd=workflow.source,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield job
    for process in started:
        _kill(process)


def _kill(job):
    """All its processes at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(job.pid, signal.SIGKILL)
    job.wait()


def _wait(workflow, job, until):
    ends = time.monotonic() + SECONDS
    while not until():
        said = (workflow.folder / "job.txt").read_text()
        assert job.poll() is None, said
        assert time.monotonic() < ends, said
        time.sleep(0.05)


def _resumed(workflow, run) -> bool:
    return "resuming at iteration" in workflow.log(run).read_text()


def test_each_run_goes_on_by_itself_to_the_same_bits(workflow, another_workflow, start):
    """One process is killed, then the whole job; the reference is trained one by one."""
    for one in (workflow, another_workflow):
        one.study.update(iterations=3000, seeds=[0], checkpoints={"early": 2, "late": 60})
    killed, left = RUNS
    job = start()
    _wait(workflow, job, lambda: all(workflow.saved(run) >= 3 for run in RUNS))
    untouched = workflow.trained_by(left)
    os.kill(workflow.trained_by(killed), signal.SIGKILL)
    saved = workflow.saved(left)
    _wait(workflow, job, lambda: workflow.trained_by(killed) and _resumed(workflow, killed))
    assert workflow.saved(left) > saved or not workflow.trained_by(left)
    assert workflow.trained_by(left) in (untouched, None), "a run that was not killed goes on"
    _kill(job)

    job = start()
    assert job.wait(SECONDS) == 0, (workflow.folder / "job.txt").read_text()
    assert _resumed(workflow, killed)
    another_workflow.succeed("--cores", "1", *TARGETS)
    for target in TARGETS:
        assert (workflow.folder / target).read_bytes() == (
            another_workflow.folder / target
        ).read_bytes()


def test_a_run_that_fails_leaves_the_others_alone(workflow, start):
    """Where its state belongs lies a file, so that one of the two cannot be trained."""
    workflow.study.update(seeds=[0])
    failing, _ = RUNS
    state = workflow.folder / "results/small/state" / failing
    state.parent.mkdir(parents=True)
    state.write_text("")
    assert start().wait(SECONDS) != 0
    assert (workflow.folder / TARGETS[1]).exists()
    assert not (workflow.folder / TARGETS[0]).exists()
    assert "ERROR" in workflow.log(failing).read_text()

    state.unlink()
    assert start().wait(SECONDS) == 0
    assert (workflow.folder / TARGETS[0]).exists()
