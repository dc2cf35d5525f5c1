"""Calls in processes of their own: CPU time and peak memory, with limits to both.

CPU time, unlike wall time, hardly depends on what else the machine does. A process of its own
can run the code of another checkout, too.
"""

import importlib
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.memory import peak_of, status

ROOT = Path(__file__).parents[2]
_GIBIBYTE = 2**30


@dataclass(frozen=True)
class Limits:
    """When a call is stopped.

    Args:
        seconds: of CPU time.
        gibibytes: of memory beside what is held before.
    """

    seconds: int = 300
    gibibytes: int = 16


@dataclass(frozen=True)
class Cost:
    """What a call took.

    Args:
        seconds: of CPU time, the median over calls; None if it was stopped.
        mebibytes: by which it raised the resident memory, at most.
        stopped: why there are no numbers.
    """

    seconds: float | None = None
    mebibytes: float | None = None
    stopped: str = ""


def cost(
    function: str,
    *arguments,
    limits: Limits | None = None,
    calls: int = 1,
    checkout: str | None = None,
) -> Cost:
    """The cost of a call on one thread.

    Args:
        function: "module:name" of a function beside this file; of `arguments` it makes a small
            call, which loads what has to be loaded, and the call that is watched.
        limits: of all calls together.
        calls: how often it is called.
        checkout: of which the package is taken; None for this one.
    """
    limits = limits or Limits()
    root = Path(checkout) if checkout else ROOT
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(root / "workflow"), str(ROOT)]),
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }
    task = json.dumps([function, arguments, calls, limits.seconds, limits.gibibytes])
    command = [sys.executable, "-m", "tests.benchmarks.apart", task]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return Cost(**json.loads(done.stdout.splitlines()[-1]))
    if done.returncode == -signal.SIGXCPU:
        return Cost(stopped=f"stopped after {limits.seconds} s")
    if "alloc" in done.stderr or "MemoryError" in done.stderr:
        return Cost(stopped=f"stopped at {limits.gibibytes} GiB")
    print(done.stderr[-2000:], file=sys.stderr, flush=True)
    return Cost(stopped="does not run")


def _watch(function: str, arguments: Sequence, calls: int, seconds: int, gibibytes: int) -> Cost:
    from flatness.experiment.device import configure

    configure("cpu", 1)
    module, name = function.split(":")
    warm_up, run = getattr(importlib.import_module(f"tests.benchmarks.{module}"), name)(*arguments)
    warm_up()
    used = int(time.process_time()) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, used + seconds + 10))
    room = status("VmSize") + gibibytes * _GIBIBYTE
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    taken = []

    def timed() -> None:
        started = time.process_time()
        run()
        taken.append(time.process_time() - started)

    mebibytes = peak_of(timed)
    for _ in range(calls - 1):
        timed()
    return Cost(statistics.median(taken), mebibytes)


if __name__ == "__main__":
    print(json.dumps(vars(_watch(*json.loads(sys.argv[1])))))
