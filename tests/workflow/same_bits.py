"""Runs one small study in five ways and compares all bits: `make same-bits`.

One line for each way, with a digest of the weights and of the netCDF files; exit code 1 unless
all are equal. Files are compared as a whole, for none of them names a time. The test suite
compares some of them, too: test_interruptions.py, test_slurm.py and tests/faults.
"""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.workflow import slurm_cluster
from tests.workflow.small_workflow import Workflow, copy_source

TARGETS = tuple(f"results/small/measurements/mlp_lr{rate}_bs20_seed0.nc" for rate in (0.1, 0.2))
KILLS = 2


def on_cores(count: int) -> Callable[[Workflow], str]:
    """All jobs, so many at a time."""

    def run(workflow: Workflow) -> str:
        workflow.succeed("--cores", str(count), *TARGETS)
        return ""

    return run


def in_another_order(workflow: Workflow) -> str:
    """The last run from start to end before any other."""
    workflow.succeed("--cores", "1", TARGETS[-1])
    assert len(list((workflow.folder / "results/small/measurements").iterdir())) == 1
    workflow.succeed("--cores", "1", *TARGETS)
    return ""


def interrupted(workflow: Workflow) -> str:
    """Snakemake and all its jobs killed several times while they train."""
    command = workflow.command("--cores", "2", "--rerun-incomplete", *TARGETS)
    resumed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=workflow.environment,
            start_new_session=True,
        )
        _wait_for_checkpoints(workflow.folder / "results/small/state", process)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        workflow.succeed("--cores", "1", "--unlock")
        for log in (workflow.folder / "results/small/logs/train_run").glob("*.log"):
            resumed += "resuming at iteration" in log.read_text()
    workflow.succeed("--cores", "2", "--rerun-incomplete", *TARGETS)
    return f", killed {KILLS} times, resumed {resumed} times"


def on_slurm(workflow: Workflow) -> str:
    """`snakemake --profile slurm`, on a cluster of this machine."""
    cluster = slurm_cluster.Cluster(Path(tempfile.mkdtemp()))
    try:
        cluster.start()
        done = subprocess.run(
            workflow.command("--profile", "slurm", *slurm_cluster.QUICK, *TARGETS),
            cwd=workflow.source,
            env=workflow.environment,
            capture_output=True,
            text=True,
        )
    finally:
        cluster.stop()
    if done.returncode:
        raise RuntimeError(done.stderr)
    return ""


WAYS = {
    "--cores 1": on_cores(1),
    "--cores 2": on_cores(2),
    "another order": in_another_order,
    "interrupted": interrupted,
    "--profile slurm": on_slurm,
}


def digest(folder: Path) -> tuple[str, int]:
    """SHA-256 of the files of weights and netCDF files with their names, and their number."""
    results = folder / "results/small"
    files = sorted(
        path
        for path in results.rglob("*")
        if path.suffix in (".safetensors", ".nc") and not path.name.startswith(".")
    )
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.relative_to(results)} ".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest(), len(files)


def main() -> int:
    """Run the study in each way; 0 if all bits are equal."""
    with tempfile.TemporaryDirectory() as copied:
        copy_source(Path(copied))  # what is edited meanwhile makes no difference
        return _compare(Path(copied))


def _compare(source: Path) -> int:
    first, equal = None, True
    for name, run in WAYS.items():
        if run is on_slurm and (reason := slurm_cluster.missing()):
            print(f"{name:<16} not compared: {reason}")
            equal = False
            continue
        with tempfile.TemporaryDirectory() as folder:
            workflow = Workflow(source, Path(folder))
            workflow.study.update(seeds=[0], iterations=4000, checkpoints={"early": 3, "late": 20})
            start = time.monotonic()
            remark = run(workflow)
            found, files = digest(workflow.folder)
        first = first or found
        equal &= found == first
        verdict = "equal" if found == first else "DIFFERENT"
        about = f"{files} files, {time.monotonic() - start:.0f} s{remark}"
        print(f"{name:<16} {found[:16]} {verdict}  ({about})", flush=True)
    return 0 if equal else 1


def _wait_for_checkpoints(state: Path, process: subprocess.Popen) -> None:
    """Until four more checkpoints are on the disk, or all is done."""
    seen = set(state.rglob("[0-9]*.safetensors"))
    while process.poll() is None and len(set(state.rglob("[0-9]*.safetensors")) - seen) < 4:
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main())
