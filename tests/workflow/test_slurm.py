"""`snakemake --profile slurm` on a real cluster of one node, with jobs that are disturbed.

What it prints is shown by `make slurm`. More ways of disturbing jobs are in tests/faults.
"""

import os
import re
import signal
import subprocess
import time

import pytest

from tests.workflow import slurm_cluster

pytestmark = pytest.mark.skipif(bool(slurm_cluster.missing()), reason=slurm_cluster.missing())

REQUEUED, STOPPED = LONG = ("mlp_lr0.1_bs20_seed0", "mlp_lr0.2_bs20_seed0")
TINY = [f"tiny_lr0.1_bs20_seed{seed}" for seed in range(6)]
TRAINED = [f"results/small/runs/{run}/checkpoints.safetensors" for run in LONG]
MEASURED = [f"results/small/measurements/{run}.nc" for run in LONG]
# SLURM's shortest limit, a minute, for the first attempt. A small machine has not 8 GB for each.
# Measuring takes a part of a GPU, as the profile says how.
RESOURCES = [
    "--set-resources",
    "train_run:runtime=attempt",
    "train_run:mem_mb=2000 * attempt",
    "measure_run:mem_mb=2000",
    "measure_run:gpu=0",
    "measure_run:gres=shard:1",
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = slurm_cluster.Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def undisturbed(make_workflow, tmp_path_factory) -> dict[str, bytes]:
    """The files of the long runs, computed on this machine without SLURM."""
    workflow = make_workflow(tmp_path_factory.mktemp("undisturbed"))
    _lengthen(workflow)
    workflow.succeed("--cores", "2", *MEASURED)
    return _bytes(workflow, *TRAINED, *MEASURED)


def _lengthen(workflow) -> None:
    workflow.config["device"] = "auto"  # so that jobs ask for a GPU, which the cluster makes up
    workflow.study.update(iterations=15_000, seeds=[0], checkpoints={"early": 2, "late": 60})


def _bytes(workflow, *targets: str) -> dict[str, bytes]:
    return {target: (workflow.folder / target).read_bytes() for target in targets}


class Submitted:
    """A command at work in the repository's folder, and the jobs that it submits."""

    def __init__(self, workflow, cluster, command):
        self.workflow, self.cluster = workflow, cluster
        self.jobs: dict[str, str] = {}
        with (workflow.folder / "terminal.txt").open("w") as terminal:
            self.process = subprocess.Popen(
                command,
                stdout=terminal,
                stderr=subprocess.STDOUT,
                env=workflow.environment,
                cwd=workflow.source,
            )

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        return (self.workflow.folder / "terminal.txt").read_text()

    def look(self) -> None:
        """Note the jobs that are new, with what they ask for."""
        for job, comment in self.cluster.jobs().items():
            if job not in self.jobs:
                details = self.cluster.call("scontrol", "show", "job", job, check=False)
                self.jobs[job] = f"{comment} {details}"
                print(f"job {job}: {comment}")

    def wait_until(self, condition, seconds=180):
        """The first answer that is true; fail if all ends before, or after some time."""
        ends = time.monotonic() + seconds
        while not (answer := condition()):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < ends, self.said
            self.look()
            time.sleep(0.2)
        return answer

    def wait_for_the_end(self, seconds=400) -> None:
        """Until the command has ended; it has to have succeeded."""
        ends = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < ends, f"no end:\n{self.said}"
            self.look()
            time.sleep(0.2)
        assert self.process.returncode == 0, self.said

    def training(self, run: str, checkpoints: int) -> str:
        """The job that trains a run, once so many checkpoints are saved."""
        if self.workflow.saved(run) < checkpoints:
            return ""
        running = self.cluster.jobs("running")
        return next((job for job, comment in running.items() if run in comment), "")


def test_what_schedulers_do_to_jobs_changes_no_bit(cluster, workflow, undisturbed):
    """A requeue, a cancellation, a time limit and a preemption, with more runs than jobs."""
    _lengthen(workflow)
    tiny = dict(
        workflow.study,
        iterations=40,
        seeds=list(range(len(TINY))),
        sweep=workflow.study["sweep"][:1],
    )
    workflow.config["studies"]["tiny"] = tiny | {"checkpoints": {"early": 2, "late": 3}}
    targets = [
        *MEASURED,
        "fig1",
        *(f"results/small/runs/{run}/checkpoints.safetensors" for run in TINY),
    ]
    command = workflow.command(
        "--prioritize",
        *MEASURED,
        "--profile",
        "slurm",
        "--jobs",
        "2",
        *RESOURCES,
        *slurm_cluster.QUICK,
        *targets,
    )
    print()
    with Submitted(workflow, cluster, command) as submitted:
        stopped = submitted.wait_until(lambda: submitted.training(STOPPED, 3))
        for pid in re.findall(r"^(\d+)", cluster.call("scontrol", "listpids", stopped), re.M):
            os.kill(int(pid), signal.SIGSTOP)
        print(f"job {stopped}: its processes are stopped, until its time limit ends them")

        job = submitted.wait_until(lambda: submitted.training(REQUEUED, 3))
        cluster.call("scontrol", "requeue", job)
        saved = workflow.saved(REQUEUED)
        print(f"job {job}: requeued after {saved} checkpoints")
        cluster.start_requeued(job)
        submitted.wait_until(lambda: submitted.training(REQUEUED, saved + 1))
        cluster.call("scancel", job)
        print(f"job {job}: cancelled after {workflow.saved(REQUEUED)} checkpoints")

        submitted.wait_until(lambda: stopped in cluster.jobs("timeout"))
        saved = workflow.saved(STOPPED)
        print(f"job {stopped}: time limit hit after {saved} checkpoints")
        again = submitted.wait_until(lambda: submitted.training(STOPPED, saved + 1))
        assert again != stopped
        cluster.preempt()
        print(f"job {again}: preempted after {workflow.saved(STOPPED)} checkpoints")
        cluster.start_requeued(again)
        submitted.wait_for_the_end()
    # Two runs that are measured and six that are not, one job more for each of the long ones (a
    # requeue and a preemption begin none), and the urgent one. A slow machine may take more.
    assert len(submitted.jobs) >= 13, submitted.jobs
    for asked in submitted.jobs.values():
        if "train_run" in asked:
            assert "TresPerJob=gres:gpu:1" in asked, asked
            assert re.search("TimeLimit=00:01:00.* MinMemoryNode=2000M ", asked, re.S) or (
                re.search("TimeLimit=00:02:00.* MinMemoryNode=4000M ", asked, re.S)
            ), asked
        elif "measure_run" in asked:
            assert "TresPerNode=gres:shard:1" in asked, asked
        else:
            assert "urgent" in asked, asked
    for run in LONG:
        resumed = re.search("resuming at iteration.*", workflow.log(run).read_text())
        assert resumed
        print(resumed[0])
    assert _bytes(workflow, *TRAINED, *MEASURED) == undisturbed
    print("measurements of both runs: byte for byte those of a local run that nothing happened to")
    again = workflow.run("--profile", str(workflow.source / "slurm"), "fig1")
    assert "Nothing to be done" in again.stderr


def test_runs_that_share_a_job_are_preempted_together(cluster, workflow, undisturbed):
    _lengthen(workflow)
    workflow.config["runs_per_gpu"] = 2
    script = workflow.side_by_side(*TRAINED)
    command = ["sbatch", "--wait", "--cpus-per-task=2", "--mem-per-cpu=2000", *script]
    with Submitted(workflow, cluster, command) as submitted:
        submitted.wait_until(lambda: all(workflow.saved(run) >= 3 for run in LONG))
        (job,) = cluster.jobs("running")
        os.kill(workflow.trained_by(REQUEUED), signal.SIGKILL)
        cluster.preempt()
        cluster.start_requeued(job)
        submitted.wait_for_the_end()
    for run in LONG:
        assert "resuming at iteration" in workflow.log(run).read_text()
    assert _bytes(workflow, *TRAINED) == {target: undisturbed[target] for target in TRAINED}


def test_job_arrays_are_refused(cluster, workflow):
    result = workflow.run(
        "--profile", str(workflow.source / "slurm"), "--slurm-array-jobs", "all", "fig1"
    )
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert result.stderr.count("Allowed: no job arrays") == 1
