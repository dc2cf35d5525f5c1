"""Programs of a slice in processes of their own, which end with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def started(
    *words: str, folder: Path = ROOT, log: Path | None = None
) -> Iterator[subprocess.Popen]:
    """`python WORDS` in a group of processes of its own; all of it is killed at the end.

    Args:
        words: of the command line.
        folder: where it runs.
        log: where its output goes; nowhere if left out.
    """
    # A shell that starts this in the background has it ignored, and so would what is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    places = [str(ROOT / "workflow"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}
    output = open(log, "ab") if log else subprocess.DEVNULL  # noqa: SIM115
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        end(process, signal.SIGKILL)
        process.wait()
        if log:
            output.close()


def end(process: subprocess.Popen, how: signal.Signals) -> None:
    """Signal a process that was started here, and those that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, how)
