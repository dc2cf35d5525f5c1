"""Which GPU of a machine a job takes: one that still has room.

The workflow's setting `runs_per_gpu` reaches its jobs in the environment, since it is none of the
facts that a run's numbers depend on.

A job says which one it has by the name of a Unix socket in Linux's abstract namespace. Such a
name is no file: it is seen by all jobs of the machine, and the kernel takes it back when the job
ends, whatever ends it.
"""

import errno
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path

RUNS_PER_GPU = "FLATNESS_RUNS_PER_GPU"  # variable of the environment

_PREFIX = "flatness-gpu"
_HELD: list[socket.socket] = []  # until the process ends


def claim(gpus: Sequence[str]) -> int:
    """Take one of several GPUs for as long as this process lives.

    Args:
        gpus: a name for each that is the same in every process of the machine, and holds no
            blank.

    Returns:
        The position of the first that fewer processes have taken than may share one; if there is
        none, of the first that fewest have taken.
    """
    room = int(os.environ.get(RUNS_PER_GPU, "1"))
    with _choosing():
        taken = _taken()
        position = min(range(len(gpus)), key=lambda k: max(taken.count(gpus[k]) + 1 - room, 0))
        _HELD.append(_bound(f"{_PREFIX} {gpus[position]} {os.getpid()} {len(_HELD)}"))
    return position


def _choosing() -> socket.socket:
    """Held by one process at a time, while it chooses."""
    while True:
        try:
            return _bound(f"{_PREFIX} choosing")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            time.sleep(0.01)


def _bound(name: str) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        bound.bind(f"\0{name}")
    except OSError:
        bound.close()
        raise
    return bound


def _taken() -> list[str]:
    """The GPU of every process that has one; Linux shows a leading zero byte as @."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    names = [line.partition(f" @{_PREFIX} ")[2].split() for line in lines]
    return [name[0] for name in names if len(name) == 3]
