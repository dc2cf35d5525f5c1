"""Peak memory of a call, in a process of its own."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

_MEBIBYTE = 2**20


def peak(prepare: Callable[..., tuple[Callable[[], object], Callable[[], object]]], *arguments):
    """How far a call raises the resident memory of a fresh process, in MiB.

    Args:
        prepare: a function of a module; of `arguments` it makes a small call, which loads what
            has to be loaded, and the call that is watched.
    """
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawning) as process:
        return process.submit(_peak, prepare, arguments).result()


def _peak(prepare, arguments) -> float:
    from flatness.experiment.device import configure

    configure("cpu", 1)
    warm_up, run = prepare(*arguments)
    warm_up()
    return peak_of(run)


def peak_of(run: Callable[[], object]) -> float:
    """How far a call raises the resident memory of this process, in MiB; Linux only."""
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark is now the present size
    before = status("VmRSS")
    run()
    return (status("VmHWM") - before) / _MEBIBYTE


def status(entry: str) -> int:
    """A size in bytes; Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{entry}:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no entry {entry}")
