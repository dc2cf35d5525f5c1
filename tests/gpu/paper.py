"""Slice `paper`: runs of the paper at full length, through the workflow, as far as the time goes.

Called again it goes on: runs resume from their last checkpoints.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
import yaml

from flatness.settings import read_configuration
from tests.benchmarks.rows import Row
from tests.gpu.sizes import Sizes
from tests.gpu.started import ROOT, end, started
from tests.gpu.step import Step
from tests.gpu.time_left import Clock

TABLE = "the paper, full length, through the workflow"
# Snakemake ends its jobs, which write what they have.
_TO_END = 30


def steps(folder: Path, device: str, sizes: Sizes) -> Iterator[Step]:
    """One step, which goes on each time."""
    take = partial(_go_on, folder / "paper", device, sizes)
    yield Step(TABLE, "seconds so far", _TO_END + sizes.begun, take, again=True)


def _go_on(folder: Path, device: str, sizes: Sizes, clock: Clock) -> Iterator[Row]:
    folder.mkdir(parents=True, exist_ok=True)
    settings = read_configuration([ROOT / sizes.configuration])
    settings |= {"name": "paper", "device": device, "download": False}
    settings["folders"] = {"results": str(folder.resolve() / "results"), "data": _data(settings)}
    file = folder / "configuration.yaml"
    file.write_text(yaml.safe_dump(settings))
    begun = time.monotonic()
    how = ("measurements", "--rerun-incomplete", "--keep-going", "--quiet", "rules")
    place = ("--snakefile", str(ROOT / "Snakefile"), "--configfile", str(file.resolve()))
    snakemake, log = ("-m", "snakemake", *place), folder / "snakemake.log"
    with started(*snakemake, "--unlock", folder=folder, log=log) as process:
        process.wait()
    # In a folder of its own, whose lock is not that of other work in the repository.
    words = (*snakemake, "--cores", str(os.cpu_count()), *how)
    with started(*words, folder=folder, log=log) as process:
        while process.poll() is None and clock.left > _TO_END:
            time.sleep(0.2)
        if process.poll() is None:
            end(process, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):  # then killed, as if the machine were gone
                process.wait(_TO_END)
    said = f"exit code of Snakemake, see {log.name}" if process.returncode else "all is done"
    stopped = clock.left <= _TO_END and process.returncode != 0
    yield Row("ended", process.returncode, "stopped in time" if stopped else said)
    yield from _so_far(folder, settings, time.monotonic() - begun)


def _data(settings: dict) -> str:
    """Where the datasets are."""
    place = os.environ.get("FLATNESS_DATA") or settings.get("folders", {}).get("data", "data")
    return str((ROOT / place).resolve())


def _so_far(folder: Path, settings: dict, seconds: float) -> Iterator[Row]:
    results = folder / "results/paper"
    runs = sum(len(study["sweep"]) * len(study["seeds"]) for study in settings["studies"].values())
    trained = len(list(results.glob("runs/*/*.safetensors")))
    measured = len([each for each in results.glob("measurements/*.nc") if each.name[0] != "."])
    yield Row("runs trained", trained, f"of {runs}")
    yield Row("runs measured", measured, f"of {runs}")
    yield Row("iterations of unfinished runs", sum(_begun(results)), "iterations")
    total = folder / "seconds"
    before = float(total.read_text()) if total.exists() else 0.0
    total.write_text(str(before + seconds))
    yield Row("seconds so far", before + seconds, f"s on {torch.cuda.device_count() or 'no'} GPU")


def _begun(results: Path) -> Iterator[int]:
    """The last checkpoint of each unfinished run."""
    for state in results.glob("state/*"):
        yield max((int(file.stem) for file in state.glob("0*.safetensors")), default=0)
