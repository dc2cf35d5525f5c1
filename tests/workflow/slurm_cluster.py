"""A SLURM cluster of one node on this machine: real daemons, started and stopped by a test."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
# The profile waits as long as a large site needs.
QUICK = (
    "--slurm-init-seconds-before-status-checks",
    "2",
    "--seconds-between-status-checks",
    "2",
    "--latency-wait",
    "10",
)
_START_SECONDS = 60
# Where SLURM looks by itself: inside of a job, Snakemake clears the variable that names another.
_SYSTEM = Path("/etc/slurm")
_FILES = ("slurm.conf", "gres.conf")
_GIVEN = (
    "SLURM_GPUS_ON_NODE",
    "SLURM_JOB_GPUS",
    "SLURM_STEP_GPUS",
    "GPU_DEVICE_ORDINAL",
    "CUDA_VISIBLE_DEVICES",
)


def missing() -> str:
    """Why no cluster can be started here; empty if one can."""
    absent = [name for name in (*DAEMONS, "sbatch") if not _program(name)]
    if absent:
        return f"needs {', '.join(absent)} (tests/workflow/install_slurm)"
    if os.geteuid() != 0:
        return "slurmd needs root"
    present = [str(_SYSTEM / name) for name in _FILES if (_SYSTEM / name).exists()]
    return f"{', '.join(present)}: this machine has a cluster of its own" if present else ""


class Cluster:
    """One node with all cores of this machine and two made-up GPUs, without accounting.

    GPUs can be asked for whole or in shards. Jobs of the partition `main` are cancelled where one
    of the partition `urgent` needs their place.

    Args:
        folder: for its configuration, state and logs.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def start(self) -> None:
        """Start the daemons and wait until the node takes jobs."""
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self.folder.chmod(0o755)
        (self.folder / "slurm.conf").write_text(self._configuration())
        (self.folder / "gres.conf").write_text(
            "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\nName=shard Count=8\n"
        )
        # A job that was given a GPU refuses to compute on the CPU, and these have none behind them.
        prolog = self.folder / "task_prolog.sh"
        prolog.write_text("".join(["#!/bin/sh\n", *(f"echo unset {name}\n" for name in _GIVEN)]))
        prolog.chmod(0o755)
        _SYSTEM.mkdir(exist_ok=True)
        for name in _FILES:
            (_SYSTEM / name).unlink(missing_ok=True)  # a link of a test that was killed
            (_SYSTEM / name).symlink_to(self.folder / name)
        socket_, folder = self.folder / "munge.socket", self.folder
        self._run(
            "munged",
            "--force",
            f"--key-file={key}",
            f"--socket={socket_}",
            f"--pid-file={folder / 'munged.pid'}",
            f"--log-file={folder / 'munged.log'}",
            f"--seed-file={folder / 'munge.seed'}",
        )
        self._run("slurmctld", "-c")
        self._run("slurmd", "-c")
        self.wait_for_node("idle")

    def stop(self) -> None:
        """Stop what was started, jobs first."""
        if (self.folder / "slurmctld.pid").exists():
            self.call("scancel", "--user", "root", check=False)
            time.sleep(1)
        for name in _FILES:
            (_SYSTEM / name).unlink(missing_ok=True)
        for name in reversed(DAEMONS):
            pid = self.folder / f"{name}.pid"
            if pid.exists():
                _end(int(pid.read_text()))

    def call(self, *command: str, check: bool = True) -> str:
        """The output of one of SLURM's commands."""
        done = subprocess.run(command, capture_output=True, text=True)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def jobs(self, state: str = "all") -> dict[str, str]:
        """Names of rules, as Snakemake comments its jobs, by the id of the job."""
        listed = self.call("squeue", "--noheader", "--states", state, "--format", "%i %k")
        return dict(line.split(maxsplit=1) for line in listed.splitlines() if " " in line)

    def preempt(self) -> None:
        """Take the node from all jobs for one that is urgent, and wait for its end."""
        self.call(
            "sbatch",
            "--wait",
            "--partition=urgent",
            "--exclusive",
            "--comment=urgent",
            "--output=/dev/null",
            "--wrap",
            "true",
        )

    def start_requeued(self, job: str | None = None) -> None:
        """Let requeued jobs start now; SLURM would wait two minutes.

        Args:
            job: one that has to be among them.
        """
        time.sleep(3)
        ends = time.monotonic() + _START_SECONDS
        # One that is still ending would be put back into the queue later, and wait there.
        while self.jobs("completing") or (job is not None and job not in self.jobs("pending")):
            if time.monotonic() > ends:
                raise RuntimeError(f"job {job} is not back in the queue: {self.jobs()}")
            time.sleep(0.2)
        for waiting in self.jobs("pending"):
            self.call("scontrol", "update", f"jobid={waiting}", "starttime=now", check=False)

    def wait_for_node(self, state: str) -> None:
        """Until the node is in that state."""
        ends = time.monotonic() + _START_SECONDS
        while (now := self.call("sinfo", "--noheader", "--format", "%T").strip()) != state:
            if time.monotonic() > ends:
                logs = "\n".join(log.read_text()[-2000:] for log in self.folder.glob("*.log"))
                raise RuntimeError(f"the node is {now!r}, not {state!r}:\n{logs}")
            time.sleep(0.2)

    def _run(self, *command: str) -> None:
        program = _program(command[0])
        subprocess.run([program, *command[1:]], check=True, cwd=self.folder)

    def _configuration(self) -> str:
        node, folder = socket.gethostname().split(".")[0], self.folder
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20 - 1024
        return "\n".join(
            [
                "ClusterName=test",
                f"SlurmctldHost={node}(127.0.0.1)",
                "SlurmUser=root",
                "SlurmdUser=root",
                f"SlurmctldPort={_free_port()}",
                f"SlurmdPort={_free_port()}",
                "AuthType=auth/munge",
                f"AuthInfo=socket={folder / 'munge.socket'}",
                f"StateSaveLocation={folder / 'state'}",
                f"SlurmdSpoolDir={folder / 'spool'}",
                *(f"{name}PidFile={folder / name.lower()}.pid" for name in ("Slurmctld", "Slurmd")),
                *(f"{name}LogFile={folder / name.lower()}.log" for name in ("Slurmctld", "Slurmd")),
                "ProctrackType=proctrack/pgid",
                "TaskPlugin=task/none",
                f"TaskProlog={folder / 'task_prolog.sh'}",
                "SelectType=select/cons_tres",
                "SelectTypeParameters=CR_Core_Memory",
                "AccountingStorageType=accounting_storage/none",
                "JobAcctGatherType=jobacct_gather/none",
                "MpiDefault=none",
                "ReturnToService=2",
                "KillWait=2",
                # A limit is enforced up to a minute late otherwise.
                "OverTimeLimit=0",
                "SchedulerParameters=sched_interval=2,bf_interval=2",
                "GresTypes=gpu,shard",
                "PreemptType=preempt/partition_prio",
                "PreemptMode=CANCEL",
                f"NodeName={node} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory={memory} "
                "Gres=gpu:2,shard:8 State=UNKNOWN",
                f"PartitionName=main Nodes={node} Default=YES MaxTime=INFINITE State=UP",
                f"PartitionName=urgent Nodes={node} PriorityTier=2 PreemptMode=OFF State=UP",
                "",
            ]
        )


def _program(name: str) -> str | None:
    """Daemons lie where only root looks."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _end(pid: int) -> None:
    """Ask a process to end, and make it."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, sent)
            for _ in range(50):
                time.sleep(0.1)
                os.kill(pid, 0)
        except ProcessLookupError:
            return
