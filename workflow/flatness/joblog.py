"""The log of one job."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from flatness.errors import FlatnessError


@contextmanager
def job_log(path: str) -> Iterator[None]:
    """Send log records and warnings to `path` while a job runs, and failures too.

    A mistake that a user can mend ends the job with its one line, on the terminal
    and in the log; any other failure also leaves its traceback in the log.
    """
    handler = logging.FileHandler(path, mode="w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    warnings.simplefilter("default")
    try:
        yield
    except FlatnessError as error:
        root.error("%s", error)
        sys.exit(str(error))
    except Exception:
        root.exception("The job failed")
        raise
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        handler.close()
