"""`snakemake --profile slurm` on a real cluster of one node, undisturbed and not."""

import os
import re
import signal
import subprocess
import time

import pytest

import slurm_cluster

pytestmark = pytest.mark.skipif(bool(slurm_cluster.missing()), reason=slurm_cluster.missing())

# The profile waits as long as a large site needs; nothing else is changed.
QUICK = (
    *("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2"),
    *("--latency-wait", "10"),
)
MEASUREMENTS = "results/small/measurements"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = slurm_cluster.Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def submit(cluster, workflow):
    """Start the documented command in the repository's folder, for the workflow of a test."""
    started = []

    def start(*arguments):
        log = (workflow.folder / "snakemake.log").open("w")
        command = workflow.command("--profile", "slurm", *QUICK, *arguments)
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=workflow.environment,
            cwd=workflow.source,
        )
        started.append((process, log))
        return process

    yield start
    for process, log in started:
        process.kill()
        process.wait()
        log.close()


def _log(workflow) -> str:
    return (workflow.folder / "snakemake.log").read_text()


def _wait_until(condition, process, seconds=180):
    """The first answer that is true; fail if the workflow ends before, or after some time."""
    ends = time.monotonic() + seconds
    while not (answer := condition()):
        assert process.poll() is None, "the workflow ended too soon"
        assert time.monotonic() < ends, "nothing happened"
        time.sleep(0.2)
    return answer


def _bytes(folder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / MEASUREMENTS).glob("*.nc")}


def test_results_are_those_of_a_local_run(cluster, workflow, another_workflow, submit):
    for one in (workflow, another_workflow):
        one.config["device"] = "auto"  # so that jobs ask for a GPU, which the cluster makes up
        one.study["sweep"] = one.study["sweep"][:1]
    process = submit("fig1", "measurements")
    seen = {}
    while process.poll() is None:
        for job, comment in cluster.jobs().items():
            if job not in seen:
                seen[job] = (comment, cluster.call("scontrol", "show", "job", job, check=False))
        time.sleep(0.5)
    assert process.returncode == 0, _log(workflow)
    assert len(seen) == 4, seen  # two runs, trained and measured; figures are made here
    for comment, details in seen.values():
        assert re.search("train_run|measure_run", comment), comment
        assert "TresPerJob=gres:gpu:1" in details, details
        assert re.search(r"TimeLimit=(04|01):00:00", details), details

    another_workflow.succeed("--cores", "2", "measurements")
    assert len(_bytes(workflow.folder)) == 2
    assert _bytes(workflow.folder) == _bytes(another_workflow.folder)
    again = workflow.command("--profile", "slurm", "fig1")
    done = subprocess.run(
        again,
        capture_output=True,
        text=True,
        env=workflow.environment,
        cwd=workflow.source,
    )
    assert "Nothing to be done" in done.stderr


@pytest.mark.skipif(not os.environ.get("FLATNESS_FAULTS"), reason="takes minutes: make faults")
def test_requeued_cancelled_and_timed_out_jobs_change_no_bit(
    cluster, workflow, another_workflow, submit
):
    for one in (workflow, another_workflow):
        one.study.update(iterations=100_000, seeds=[0], checkpoints={"early": 2, "late": 60})
    another_workflow.succeed("--cores", "2", "measurements")
    state = workflow.folder / "results/small/state"

    def under_way(run: str, checkpoints: int):
        """The job of a run, once it has saved so many checkpoints."""
        if len(list((state / run).glob("*.safetensors"))) < checkpoints:
            return None
        jobs = cluster.jobs("running")
        return next((job for job, comment in jobs.items() if run in comment), None)

    first, second = "mlp_lr0.1_bs20_seed0", "mlp_lr0.2_bs20_seed0"
    # The time limit of the first attempt is a minute, SLURM's shortest.
    process = submit("measurements", "--set-resources", "train_run:runtime=attempt")
    for run in (first, second):
        _wait_until(lambda run=run: under_way(run, 3), process)
    name = cluster.call("sinfo", "--noheader", "--format", "%n").strip()
    cluster.call("scontrol", "update", f"nodename={name}", "state=down", "reason=test")
    time.sleep(2)
    # Refused where the node has come back by itself.
    cluster.call("scontrol", "update", f"nodename={name}", "state=resume", check=False)
    cluster.start_requeued()

    hangs = _wait_until(lambda: under_way(second, 5), process)
    for pid in re.findall(r"^(\d+)", cluster.call("scontrol", "listpids", hangs), re.MULTILINE):
        os.kill(int(pid), signal.SIGSTOP)
    cluster.call("scontrol", "requeue", _wait_until(lambda: under_way(first, 5), process))
    cluster.start_requeued()
    cluster.call("scancel", _wait_until(lambda: under_way(first, 8), process))
    _wait_until(lambda: hangs in cluster.jobs("timeout"), process)

    process.wait(timeout=300)
    assert process.returncode == 0, _log(workflow)
    assert _bytes(workflow.folder) == _bytes(another_workflow.folder)
    assert not list(state.rglob("*.safetensors"))
    for run in (first, second):
        log = workflow.folder / f"results/small/logs/train_run/{run}.log"
        assert "resuming at iteration" in log.read_text(), run
