"""Stored files that lose their end or have bits flipped."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.faults.fault import Fault
from tests.faults.study import DAMAGED, LostError, Study

# By what is damaged: the rule that makes it, and those whose jobs read it.
_READ_BY = {
    "prepared dataset": ("prepare_dataset", ("train_run", "measure_run")),
    "checkpoints": ("train_run", ("measure_run",)),
    "measurements": ("measure_run", ("analyse_run",)),
    "analysed run": ("analyse_run", ("draw_figure", "correlate", "judge_claims")),
}


def _cut(path: Path, draw: random.Random) -> str:
    length = draw.randrange(path.stat().st_size)
    os.truncate(path, length)
    return f"after {length} bytes"


def _flip(path: Path, draw: random.Random) -> str:
    content = bytearray(path.read_bytes())
    places = [draw.randrange(len(content)) for _ in range(draw.randint(1, 3))]
    for place in places:
        content[place] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    return f"at byte {', '.join(map(str, sorted(places)))}"


Damage = Callable[[Path, random.Random], str]


def _stored(what: str, damage: Damage, study: Study, draw: random.Random) -> Iterator[str]:
    """Damage a file; the job that reads it has to name it, or make of it what it always makes."""
    rule, readers = _READ_BY[what]
    path = study.folder / study.product(rule)
    reader = draw.choice(readers)
    if not path.exists():
        study.recover(study.product(rule))
    target = study.forget(reader)
    whole, times = path.read_bytes(), path.stat()
    where = damage(path, draw)
    if draw.random() < 0.5:  # a disk that goes bad changes no times
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    status, text = study.call("--rerun-incomplete", target)
    hit = f"{where}, read by {reader}"
    if status == 0:  # the product is compared by the harness; there is nothing to mend
        path.write_bytes(whole)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        yield f"{hit}, without effect"
        return
    named = {found[0] for found in DAMAGED.finditer(text)}
    if len(named) != 1 or not next(iter(named)).startswith(study.product(rule)):
        raise LostError(f"no single line that names {path}:\n{text}")
    if not any(next(iter(named)) in log.read_text() for log in study.results.glob("logs/*/*.log")):
        raise LostError(f"no log says: {named}")
    (study.folder / DAMAGED.search(text)[1]).unlink()
    yield hit
    study.recover(target)


def _state(damage: Damage, study: Study, draw: random.Random) -> Iterator[str]:
    """Damage a checkpoint of a run that was killed; it is passed over, and the log says so."""
    while True:
        process = study.start_again("train_run")
        study.job_under_way("train_run", process, draw)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        study.unlock()
        if saved := sorted(study.state.glob("[0-9]*.safetensors")):
            break
    path = draw.choice(saved)
    hit = f"{path.name} of {len(saved)} checkpoints, {damage(path, draw)}"
    study.recover(study.product("train_run"))
    log = "\n".join(study.logged("train_run"))
    if f"not resuming from {path.relative_to(study.folder)}, which" not in log:
        raise LostError(f"the log does not name {path}:\n{log}")
    yield hit


FAULTS = [
    Fault("damage", f"{what} {words}", partial(_stored, what, damage), injections)
    for what, injections in (
        ("prepared dataset", 3),
        ("checkpoints", 5),
        ("measurements", 10),
        ("analysed run", 10),
    )
    for words, damage in (("truncated", _cut), ("with flipped bits", _flip))
] + [
    Fault("damage", f"resume state {words}", partial(_state, damage), 3)
    for words, damage in (("truncated", _cut), ("with flipped bits", _flip))
]
