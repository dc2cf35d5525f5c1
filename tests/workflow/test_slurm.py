"""`snakemake --profile slurm` on a real cluster of one node, with jobs that are disturbed.

What it prints is shown by `make slurm`. More ways of disturbing jobs are in tests/faults.
"""

import os
import re
import signal
import subprocess
import time

import pytest

import slurm_cluster

pytestmark = pytest.mark.skipif(bool(slurm_cluster.missing()), reason=slurm_cluster.missing())

# SLURM's shortest limit, a minute, for the first attempt.
LIMIT = ("--set-resources", "train_run:runtime=attempt")
MEASUREMENTS = "results/small/measurements"


@pytest.fixture
def cluster(tmp_path_factory):
    cluster = slurm_cluster.Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


class Submitted:
    """The documented command at work in the repository's folder, and the jobs that it submits."""

    def __init__(self, workflow, cluster):
        self.workflow, self.cluster = workflow, cluster
        self.jobs: dict[str, str] = {}
        with (workflow.folder / "snakemake.log").open("w") as log:
            self.process = subprocess.Popen(
                workflow.command(
                    "--profile", "slurm", *LIMIT, *slurm_cluster.QUICK, "fig1", "measurements"
                ),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=workflow.environment,
                cwd=workflow.source,
            )

    @property
    def said(self) -> str:
        return (self.workflow.folder / "snakemake.log").read_text()

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

    def training(self, run: str, checkpoints: int) -> str:
        """The job that trains a run, once so many checkpoints are saved."""
        if self.checkpoints(run) < checkpoints:
            return ""
        running = self.cluster.jobs("running")
        return next((job for job, comment in running.items() if run in comment), "")

    def checkpoints(self, run: str) -> int:
        """How many are saved of a run that is not finished."""
        state = self.workflow.folder / "results/small/state" / run
        return len(list(state.glob("[0-9]*.safetensors")))

    def log(self, run: str) -> str:
        return (self.workflow.folder / f"results/small/logs/train_run/{run}.log").read_text()


def _bytes(folder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / MEASUREMENTS).glob("*.nc")}


def test_a_requeue_and_a_time_limit_change_no_bit(cluster, workflow, another_workflow):
    for one in (workflow, another_workflow):
        one.config["device"] = "auto"  # so that jobs ask for a GPU, which the cluster makes up
        one.study.update(iterations=15_000, seeds=[0], checkpoints={"early": 2, "late": 60})
    requeued, stopped = "mlp_lr0.1_bs20_seed0", "mlp_lr0.2_bs20_seed0"
    print()
    submitted = Submitted(workflow, cluster)
    try:
        job = submitted.wait_until(lambda: submitted.training(stopped, 3))
        for pid in re.findall(r"^(\d+)", cluster.call("scontrol", "listpids", job), re.MULTILINE):
            os.kill(int(pid), signal.SIGSTOP)
        print(f"job {job}: its processes are stopped, until its time limit ends them")
        again = submitted.wait_until(lambda: submitted.training(requeued, 3))
        cluster.call("scontrol", "requeue", again)
        print(f"job {again}: requeued after {submitted.checkpoints(requeued)} checkpoints")
        cluster.start_requeued()
        submitted.wait_until(lambda: job in cluster.jobs("timeout"))
        print(f"job {job}: time limit hit after {submitted.checkpoints(stopped)} checkpoints")
        while submitted.process.poll() is None:
            submitted.look()
            time.sleep(0.2)
    finally:
        submitted.process.kill()
        submitted.process.wait()
    assert submitted.process.returncode == 0, submitted.said
    # Two runs, trained and measured, one of them trained in two jobs; figures are made here. On a
    # slow machine the other one may hit its limit, too.
    assert len(submitted.jobs) >= 5, submitted.jobs
    for asked in submitted.jobs.values():
        assert re.search("train_run|measure_run", asked), asked
        assert "TresPerJob=gres:gpu:1" in asked, asked
        assert re.search(r"TimeLimit=(00:01|00:02|00:03|01:00):00", asked), asked
    for run in (requeued, stopped):
        assert "resuming at iteration" in submitted.log(run).splitlines()[0]
        print(submitted.log(run).splitlines()[0].partition("INFO ")[2])

    another_workflow.succeed("--cores", "2", "measurements")
    assert len(_bytes(workflow.folder)) == 2
    assert _bytes(workflow.folder) == _bytes(another_workflow.folder)
    print("measurements of both runs: byte for byte those of a local run that nothing happened to")
    again = subprocess.run(
        workflow.command("--profile", "slurm", "fig1"),
        capture_output=True,
        text=True,
        env=workflow.environment,
        cwd=workflow.source,
    )
    assert "Nothing to be done" in again.stderr
