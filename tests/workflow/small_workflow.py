"""The workflow on a small study, run by Snakemake in a folder of its own."""

import contextlib
import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
_PROFILE = "Using workflow specific profile "

# A study of seconds: two networks, two settings, two seeds on the bundled digits.
SMALL = {
    "name": "small",
    "folders": {"results": "results", "data": "data"},
    "download": False,
    "device": "cpu",
    "datasets": {"digits": {"source": "digits", "outputs": 10, "samples": 20}},
    "studies": {
        "mlp": {
            "network": {"name": "mlp", "hidden_width": 20},
            "dataset": "digits",
            "loss": "half_squared_error",
            "sweep": [
                {"learning_rate": 0.1, "batch_size": 20},
                {"learning_rate": 0.2, "batch_size": 20},
            ],
            "seeds": [0, 1],
            "iterations": 40,
            "checkpoints": {"early": 2, "late": 3},
        }
    },
    "figures": {
        "fig1": {"kind": "trends", "study": "mlp", "compare": "learning_rate", "fixed": 20}
    },
    "claims": {"mlp": "mlp"},
}


class Workflow:
    """The workflow with a configuration of its own, run in a folder of its own.

    Args:
        source: a copy of the repository.
        folder: where it runs.
    """

    def __init__(self, source: Path, folder: Path):
        self.source, self.folder = source, folder
        self.config = copy.deepcopy(SMALL)

    @property
    def study(self) -> dict:
        return self.config["studies"]["mlp"]

    def command(self, *arguments: str) -> list[str]:
        config = self.folder / "config.yaml"
        config.write_text(yaml.safe_dump(self.config))
        return [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(self.source / "Snakefile"),
            "--directory",
            str(self.folder),
            "--configfile",
            str(config),
            *arguments,
        ]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=300,
            env=self.environment | environment,
        )
        # What Snakemake says of `profiles/default` before anything else.
        said = [line for line in done.stderr.splitlines(True) if not line.startswith(_PROFILE)]
        done.stderr = "".join(said)
        return done

    @property
    def environment(self) -> dict[str, str]:
        """Variables under which the copy's package comes before the installed one."""
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return os.environ | {"PYTHONPATH": str(self.source / "workflow"), "PATH": programs}

    def succeed(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        result = self.run(*arguments, **environment)
        assert result.returncode == 0, result.stderr
        return result

    def saved(self, run: str) -> int:
        """How many checkpoints there are of a run that is not finished."""
        return len(list((self.folder / "results/small/state" / run).glob("[0-9]*.safetensors")))

    def log(self, run: str) -> Path:
        """What training a run has logged."""
        return self.folder / "results/small/logs/train_run" / f"{run}.log"

    def trained_by(self, run: str) -> int | None:
        """The process that trains a run, which holds its log open; None if none does."""
        for entry in Path("/proc").glob("[0-9]*/fd/*"):
            with contextlib.suppress(OSError):  # it has ended
                if entry.readlink() == self.log(run):
                    return int(entry.parts[2])
        return None

    def side_by_side(self, *arguments: str) -> list[str]:
        """The script for many runs in one SLURM job, with what Snakemake is told."""
        return [str(self.source / "slurm/side_by_side.sh"), *arguments, *self.command()[3:]]

    def planned(self, *arguments: str) -> dict[str, int]:
        """How many jobs of each rule a dry run announces."""
        output = self.succeed("--dry-run", "--quiet", "rules", *arguments).stdout
        table = output.partition("Job stats:\n")[2].partition("\n\n")[0]
        rows = [line.split() for line in table.splitlines()[2:]]
        return {rule: int(count) for rule, count in rows}


def copy_source(folder: Path) -> None:
    """Copy what the workflow is made of, so that it may be edited."""
    shutil.copy2(ROOT / "Snakefile", folder)
    for name in ("workflow", "config", "envs", "slurm", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
