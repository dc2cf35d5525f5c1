"""A small study that faults are injected into, and the documented ways out of them."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.workflow.small_workflow import Workflow

RUN = "mlp_lr0.1_bs20_seed0"
# One file that each rule makes, below the results folder.
PRODUCT = {
    "prepare_dataset": "datasets/{dataset}.nc",
    "train_run": "runs/{run}/checkpoints.safetensors",
    "measure_run": "measurements/{run}.nc",
    "analyse_run": "analysis/{run}.nc",
    "correlate": "tables/correlations_mlp.csv",
    "judge_claims": "tables/claims.md",
    "draw_figure": "figures/fig1.png",
}
DAMAGED = re.compile(r"^(\S+): .*Delete (?:it|the file) and start again", re.MULTILINE)
# What docs/running.md says of files from the future, as a clock leaves them that was ahead.
TOUCH = "find results -newermt now -exec touch {} +"
# What Snakemake says where another one, that was started beside it without a lock, has begun.
_ANOTHER = "concurrent process has deleted it while Snakemake was running"
_SECONDS = 600  # more than any step takes, however busy the machine


class LostError(Exception):
    """Something was lost, wrong or left unsaid."""


def one_run(config: dict) -> None:
    """One run of seconds, with enough checkpoints to be hit between any two of them."""
    config["studies"]["mlp"].update(
        sweep=[{"learning_rate": 0.1, "batch_size": 20}],
        seeds=[0],
        iterations=3000,
        checkpoints={"early": 5, "late": 30},
    )


@dataclass(frozen=True)
class Kind:
    """What the studies that a fault is injected into have in common.

    Args:
        name: of the kind.
        change: made to the configuration of `small_workflow`.
        edit: made to a copy of the repository.
        targets: what is asked for in the end; everything if there are none.
        in_one_study: the most injections made into one study, one after the other.
        run, dataset: what faults are injected into.
        variables: of the environment.
    """

    name: str
    change: Callable[[dict], None] = one_run
    edit: Callable[[Path], None] | None = None
    targets: tuple[str, ...] = ()
    in_one_study: int = 10
    run: str = RUN
    dataset: str = "digits"
    variables: tuple[tuple[str, str], ...] = ()


ONE_RUN = Kind("one run")


class Study:
    """One study in a folder of its own.

    Args:
        kind: what it is.
        source: the copy of the repository.
        folder: where it runs.
    """

    def __init__(self, kind: Kind, source: Path, folder: Path):
        self.kind, self.folder = kind, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.workflow = Workflow(source, folder)
        kind.change(self.workflow.config)
        self.variables = dict(kind.variables)
        self.running: subprocess.Popen | None = None
        self._started: list[subprocess.Popen] = []

    @property
    def results(self) -> Path:
        return self.folder / "results/small"

    @property
    def everything(self) -> tuple[str, ...]:
        """What is asked for in the end; also what Snakemake would not miss."""
        return self.kind.targets or ("all", *map(self.product, PRODUCT))

    @property
    def state(self) -> Path:
        return self.results / "state" / self.kind.run

    @property
    def saved(self) -> int:
        """How many checkpoints of the unfinished run there are."""
        return len(list(self.state.glob("[0-9]*.safetensors")))

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start Snakemake as the leader of a process group, as a shell does."""
        cores = () if "--profile" in arguments else ("--cores", "1")
        with self._terminal(len(self._started)).open("w") as terminal:
            process = subprocess.Popen(
                self.workflow.command(*cores, *arguments),
                stdout=terminal,
                stderr=subprocess.STDOUT,
                env=self.workflow.environment | self.variables,
                cwd=self.workflow.source,  # where the profile lies
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def said(self, process: subprocess.Popen) -> str:
        """What Snakemake wrote to its terminal; no user should see a traceback there."""
        text = self._terminal(self._started.index(process)).read_text()
        if "Traceback" in text:
            raise LostError(f"a traceback on the terminal:\n{text}")
        return text

    def call(self, *arguments: str) -> tuple[int, str]:
        """Run Snakemake to its end: exit status and what it said."""
        process = self.start(*arguments)
        status = process.wait(_SECONDS)
        return status, self.said(process)

    def refused(self, pattern: str, *arguments: str) -> str:
        """Run Snakemake; it has to fail with one line that fits the pattern, which is returned."""
        status, text = self.call(*arguments)
        lines = {line for line in text.splitlines() if re.search(pattern, line)}
        if status == 0 or len(lines) != 1:
            raise LostError(f"exit status {status} and no single line with {pattern!r}:\n{text}")
        return lines.pop()

    def leave_running(self, process: subprocess.Popen) -> None:
        """Wait for a Snakemake only before another is started."""
        self.running = process

    def recover(self, *targets: str) -> None:
        """Start again as docs/running.md says, doing what each message asks for."""
        if self.running:
            self.running.wait(_SECONDS)
            self.said(self.running)
            self.running = None
        for _ in range(6):
            status, text = self.call("--rerun-incomplete", *targets)
            if status == 0:
                return
            if damaged := DAMAGED.search(text):
                (self.folder / damaged[1]).unlink()
            elif "--unlock" in text:
                self.unlock()
            elif "clock skew" in text:
                subprocess.run(TOUCH, shell=True, check=True, cwd=self.folder)
            else:
                raise LostError(f"it cannot be started again:\n{text}")
        raise LostError(f"it cannot be started again in six calls:\n{text}")

    @property
    def locked(self) -> bool:
        """Whether Snakemake holds this study for its own, or died while it did."""
        return bool(list((self.folder / ".snakemake/locks").glob("*")))

    def unlock(self) -> None:
        """Take back what a Snakemake that was killed has locked."""
        if self.call("--unlock")[0]:
            raise LostError("it cannot be unlocked")

    def product(self, rule: str) -> str:
        """The file that a rule makes, as a target."""
        path = PRODUCT[rule].format(run=self.kind.run, dataset=self.kind.dataset)
        return f"results/small/{path}"

    def forget(self, rule: str) -> str:
        """Delete what a rule makes, so that it has to be made again; the target to ask for."""
        (self.folder / self.product(rule)).unlink(missing_ok=True)
        self.log(rule).unlink(missing_ok=True)
        return self.product(rule)

    def start_again(self, rule: str, *arguments: str) -> subprocess.Popen:
        """Start the documented command for what a rule makes, which is made anew if it is there."""
        return self.start("--rerun-incomplete", *arguments, self.forget(rule))

    def log(self, rule: str) -> Path:
        """The log of the rule's job."""
        names = {"prepare_dataset": self.kind.dataset, "draw_figure": "fig1"}
        name = self.kind.run if rule.endswith("_run") else names.get(rule, "all")
        return self.results / "logs" / rule / f"{name}.log"

    def logged(self, rule: str) -> list[str]:
        """The lines of that log; none while there is no log."""
        try:
            return self.log(rule).read_text().splitlines()
        except FileNotFoundError:
            return []

    def jobs(self, rule: str) -> dict[int, int]:
        """The processes that run a rule's script for this study, with the groups they are in."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = entry.read_bytes().decode(errors="replace")
                if f"{self.folder}/.snakemake/scripts/" in command and f".{rule}.py" in command:
                    job = int(entry.parent.name)
                    found[job] = os.getpgid(job)
            except OSError:  # it has ended
                continue
        return found

    def job_of(self, process: subprocess.Popen, rule: str) -> int:
        """The process that runs a rule's script for a Snakemake; 0 if there is none."""
        return next((job for job, group in self.jobs(rule).items() if group == process.pid), 0)

    def job_under_way(self, rule: str, process: subprocess.Popen, draw: random.Random) -> int:
        """Wait for a job that Snakemake starts, and a random moment more; 0 if it ended too soon.

        Half of the moments are drawn by the clock, so that the start is hit, and half by lines in
        the job's log, so that all of the rest is, however busy the machine.
        """
        while not (job := self.job_of(process, rule)):
            if process.poll() is not None:
                if process.returncode and _ANOTHER not in (said := self.said(process)):
                    raise LostError(f"no job of {rule} is started:\n{said}")
                return 0
            time.sleep(0.05)
        lines = draw.choice([0, draw.randint(1, 20)])
        ends = time.monotonic() + (draw.uniform(0, 2) if lines == 0 else _SECONDS)
        while job in self.jobs(rule) and time.monotonic() < ends:
            if lines and len(self.logged(rule)) >= lines:
                time.sleep(draw.uniform(0, 0.1))
                break
            time.sleep(0.03)
        return job if job in self.jobs(rule) else 0

    def wait_for_orphans(self) -> None:
        """Until no job runs that a killed Snakemake left behind."""
        ends = time.monotonic() + _SECONDS
        while any(self.jobs(rule) for rule in PRODUCT):
            if time.monotonic() > ends:
                raise LostError("a job does not end")
            time.sleep(0.1)

    def end(self) -> None:
        """End every process of the study."""
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def copy_from(self, folder: Path) -> None:
        """Take over what another study has done."""
        shutil.copytree(folder, self.folder, dirs_exist_ok=True)

    def _terminal(self, number: int) -> Path:
        return self.folder / f"terminal_{number}.txt"
