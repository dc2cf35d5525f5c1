"""What a job's log and the terminal say of how it ended."""

import logging
import signal
import time
import weakref

import pytest

from flatness.errors import StorageError
from flatness.jobs.log import job_log


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_job_says_so_in_one_line(tmp_path, sent):
    log = tmp_path / "job.log"
    # A shell that starts the tests in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match=r"^The job was interrupted\. Start again"), job_log(log):
        signal.raise_signal(sent)
    (line,) = log.read_text().splitlines()
    assert "ERROR The job was interrupted" in line
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_that_python_ignores_is_heard_later(tmp_path, capfd, sent):
    """As in the callback of a weak reference."""
    signal.signal(signal.SIGINT, signal.default_int_handler)

    class Watched:
        pass

    def end(_):
        signal.raise_signal(sent)
        time.sleep(1)  # interrupted here

    def job():
        watched = Watched()
        reference = weakref.ref(watched, end)
        del watched
        assert reference() is None
        time.sleep(5)

    with pytest.raises(SystemExit, match=r"^The job was interrupted"), job_log(tmp_path / "log"):
        job()
    assert "Traceback" not in capfd.readouterr().err


def test_a_mistake_that_can_be_mended_is_one_line(tmp_path):
    log = tmp_path / "job.log"
    with pytest.raises(SystemExit, match=r"^run\.nc: is damaged"), job_log(log):
        raise StorageError("run.nc: is damaged")
    (line,) = log.read_text().splitlines()
    assert line.endswith("ERROR run.nc: is damaged")


def test_any_other_failure_leaves_its_traceback_in_the_log(tmp_path):
    log = tmp_path / "job.log"
    with pytest.raises(ZeroDivisionError), job_log(log):
        _ = 1 / 0
    assert "Traceback" in log.read_text()


def test_a_full_disk_takes_lines_of_the_log_and_nothing_else(tmp_path, capfd):
    log = tmp_path / "job.log"
    log.symlink_to("/dev/full")
    with job_log(log):
        logging.getLogger("flatness").info("one")
        logging.getLogger("flatness").info("two")
    assert capfd.readouterr().err == f"{log}: lines are lost (No space left on device).\n"
