"""A disk that is full or cannot be written to."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.faults.fault import Fault
from tests.faults.study import LostError, Study

_MEGABYTES = 16


def _missing() -> str:
    """A file system in memory is mounted for the results."""
    return "" if os.geteuid() == 0 else "only root may mount a file system"


@contextmanager
def _small_disk(study: Study) -> Iterator[Path]:
    """Have the results on a small disk of their own for a while."""
    disk, aside = study.folder / "results", study.folder / "aside"
    disk.mkdir(exist_ok=True)  # nothing may be done yet
    disk.rename(aside)
    disk.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "tmpfs", str(disk))
    try:
        shutil.copytree(aside, disk, dirs_exist_ok=True)
        shutil.rmtree(aside)
        yield disk
    finally:
        shutil.copytree(disk, aside)
        _run("umount", "--lazy", str(disk))
        disk.rmdir()
        aside.rename(disk)


def _full(rule: str, study: Study, draw: random.Random) -> Iterator[str]:
    """Let the disk run full at a random place of what a job writes."""
    target = study.product(rule)
    if not (study.folder / target).exists():
        study.recover(target)
    room = int(draw.random() * (study.folder / target).stat().st_size)
    with _small_disk(study) as disk:
        study.forget(rule)
        filling = disk / "filling"
        left = os.statvfs(disk)
        with filling.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, left.f_bavail * left.f_frsize - room)
        study.refused("cannot be written.*Make room", "--rerun-incomplete", target)
        filling.unlink()
        yield f"with room for {room} bytes"
        study.recover(target)


def _read_only(study: Study, draw: random.Random) -> Iterator[str]:
    """Refuse at once to work in a folder that cannot be written to."""
    rule = draw.choice(("prepare_dataset", "train_run", "measure_run", "draw_figure"))
    with _small_disk(study) as disk:
        target = study.forget(rule)
        _run("mount", "-o", "remount,ro", str(disk))
        try:
            study.refused("folders.results .*cannot be written to", "--rerun-incomplete", target)
        finally:
            _run("mount", "-o", "remount,rw", str(disk))
        yield rule


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise LostError(f"{' '.join(command)}: {done.stderr}")


FAULTS = [
    Fault(
        "disk",
        f"disk full while {doing}",
        partial(_full, rule),
        3,
        missing=_missing,
    )
    for doing, rule in (
        ("training", "train_run"),
        ("measuring", "measure_run"),
        ("drawing a figure", "draw_figure"),
    )
] + [Fault("disk", "results folder read-only", _read_only, 3, missing=_missing)]
