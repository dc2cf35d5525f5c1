"""The log of one job."""

import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from flatness.errors import FlatnessError
from flatness.extras import naming_what_is_missing
from flatness.jobs.preemption import requeue_if_preempted
from flatness.progress.terminal import make_room
from flatness.progress.told import telling

_INTERRUPTED = "The job was interrupted. Start again; what is finished is kept."
_PREEMPTED = "The job was preempted. It is back in the queue, and what is finished is kept."


@contextmanager
def job_log(path: str) -> Iterator[None]:
    """Send log records and warnings to `path` while a job runs, and failures too.

    Beside it the job tells how far it is (see `flatness.progress.told`).

    A mistake that a user can mend ends the job with its one line, on the terminal
    and in the log, and so does an interruption: Ctrl-C, or SIGTERM, which schedulers send
    before they kill. A job that SLURM preempts is put back into the queue. Any other failure
    also leaves its traceback in the log.
    """
    handler = _LogFile(path, mode="w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # a hundred lines for each PDF file
    logging.captureWarnings(True)
    warnings.simplefilter("default")
    before = signal.signal(signal.SIGTERM, _interrupt)
    ignored, sys.unraisablehook = sys.unraisablehook, _not_heard
    try:
        with telling(path), naming_what_is_missing("this job"):
            yield
    except FlatnessError as error:
        make_room()
        root.error("%s", error)
        sys.exit(str(error))
    except KeyboardInterrupt:
        message = _PREEMPTED if requeue_if_preempted() else _INTERRUPTED
        make_room()
        root.error("%s", message)
        sys.exit(message)
    except Exception:
        make_room()
        root.exception("The job failed")
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
        sys.unraisablehook = ignored
        logging.captureWarnings(False)
        root.removeHandler(handler)
        handler.close()


def _not_heard(unraisable: "sys.UnraisableHookArgs") -> None:
    """Interrupt again a little later, where Python had to ignore the interruption.

    So it does in the callbacks of weak references, as at the end of an import.
    """
    if unraisable.exc_type is KeyboardInterrupt:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05)  # s
    else:
        sys.__unraisablehook__(unraisable)


class _LogFile(logging.FileHandler):
    """A file that a full disk takes lines from, and nothing else.

    What the job itself cannot write fails by itself.
    """

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Tell once that lines are lost, in the place of a traceback for each of them."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._tell(error)
        else:
            super().handleError(record)

    def close(self) -> None:
        """As above of the lines that were not written before."""
        try:
            super().close()
        except OSError as error:
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            make_room()
            print(f"{self.baseFilename}: lines are lost ({error.strerror}).", file=sys.stderr)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """As Ctrl-C does, but once: SLURM sends SIGTERM several times."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
