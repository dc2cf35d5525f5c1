"""What a job tells of how far it is, in a small file beside its log.

Jobs run in processes of their own, and on a cluster on other machines, which share the folder of
results and nothing else with the one that shows the line. The file is there while the job runs.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from flatness.progress.share import listening

# Seconds between two writings, so that telling costs a job nothing that can be measured.
_EVERY = 1.0


@dataclass(frozen=True)
class Told:
    """How far a job is.

    Args:
        first: share that was done when it began, such as by an earlier attempt.
        share: that is done now.
        seconds: between these two.
    """

    first: float
    share: float
    seconds: float


def progress_file(log: str | Path) -> Path:
    """Where the job with this log tells how far it is."""
    return Path(log).with_suffix(".progress")


@contextmanager
def telling(log: str | Path) -> Iterator[None]:
    """Tell how far what goes on is, about once a second, for as long as it does."""
    file = progress_file(log)
    try:
        with listening(_Teller(file).hear):
            yield
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def read_told(log: str | Path) -> Told | None:
    """What the job with this log has told; None where it has not, or is just writing."""
    try:
        first, share, seconds = map(float, progress_file(log).read_text().split())
    except (OSError, ValueError):
        return None
    return Told(first, share, seconds)


class _Teller:
    """Writes what it hears.

    No job fails because the disk is full just for this: it goes on untold.
    """

    def __init__(self, file: Path):
        self._file, self._share = file, 0.0
        self._first: float | None = None
        self._began = self._written = 0.0

    def hear(self, share: float) -> None:
        self._share = min(self._share + share, 1.0)
        now = time.monotonic()
        if self._first is None:
            self._first, self._began = self._share, now
        elif now - self._written < _EVERY:
            return
        self._written = now
        with suppress(OSError):
            self._file.write_text(f"{self._first} {self._share} {now - self._began}\n")
