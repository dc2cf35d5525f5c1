"""Follows the jobs of a workflow by what Snakemake logs of them, and shows the line.

On a terminal the line is redrawn; elsewhere one is written for each run that is trained or
measured, and one every few minutes. It takes the place of Snakemake's count of steps, in which a
training weighs as much as a picture. Everything else that Snakemake says is shown as it is.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from pathlib import Path

from flatness.progress.forecast import Job, forecast
from flatness.progress.tasks import Task
from flatness.progress.terminal import LineBelow, is_terminal
from flatness.progress.told import progress_file, read_told
from flatness.progress.words import in_words

# Names of the events that Snakemake's log records carry.
_BEGIN, _STARTED, _FINISHED, _FAILED = "run_info", "job_info", "job_finished", "job_error"
_COUNT_OF_STEPS = "progress"
# Snakemake's handler that writes to the terminal, unless the user has chosen another.
_SHOWING = "DefaultStreamHandler"
# Seconds between two looks at what jobs have told, and between two lines where none is redrawn.
_LOOK_EVERY, _WRITE_EVERY = 1.0, 300.0


def follow(
    log: logging.Logger, tasks: Callable[[], Mapping[Hashable, Task]], at_a_time: int | None
) -> None:
    """Show the line from the first job on, until Snakemake closes its log.

    Nothing is shown where Snakemake writes nothing itself, because another logger was chosen.

    Args:
        log: Snakemake's.
        tasks: what the jobs that are needed have to do, by Snakemake's id of each; called once it
            is known which these are.
        at_a_time: jobs that run side by side; None where that is not known, as on a cluster.
    """
    for handler in log.handlers:
        if handler.name == _SHOWING:
            handler.addFilter(lambda record: _event(record) != _COUNT_OF_STEPS)
            log.addHandler(_Following(handler, tasks, at_a_time))
            break


class _Following(logging.Handler):
    """Hears Snakemake's records.

    Args:
        showing: whose stream the line is shown on; it writes under its own lock only, and so does
            this one.
        tasks, at_a_time: see `follow`.
    """

    def __init__(self, showing: logging.StreamHandler, tasks: Callable, at_a_time: int | None):
        super().__init__()
        self._showing, self._tasks, self._at_a_time = showing, tasks, at_a_time
        self._jobs: dict[Hashable, Job] = {}
        self._files: dict[Hashable, tuple[str | None, str | None]] = {}
        self._began: dict[Hashable, float] = {}
        self._most, self._written = 1, time.monotonic()
        self._ended = threading.Event()
        self._below: LineBelow | None = None
        if is_terminal(showing.stream):
            self._below = LineBelow(showing.stream)
            showing.setStream(self._below)

    def emit(self, record: logging.LogRecord) -> None:
        """Note what a record says of a job."""
        event = _event(record)
        if event == _BEGIN and not self._jobs:
            self._jobs = {number: Job(task) for number, task in self._tasks().items()}
            threading.Thread(target=self._look, daemon=True).start()
        elif event == _STARTED:
            self._start(record)
        elif event == _FINISHED:
            self._finish(record.job_id)
        elif event == _FAILED and record.jobid in self._jobs:
            job = self._jobs[record.jobid]
            job.running, job.failed = False, True

    def close(self) -> None:
        """Take the line away."""
        self._ended.set()
        if self._below is not None:
            with self._showing.lock:
                self._below.clear()
        super().close()

    def _start(self, record: logging.LogRecord) -> None:
        job = self._jobs.get(record.jobid)
        if job is None:
            return
        log = record.log[0] if record.log else None
        if log is not None:
            with suppress(OSError):  # what a killed attempt has left
                progress_file(log).unlink(missing_ok=True)
        self._files[record.jobid] = log, record.benchmark
        self._began[record.jobid] = time.monotonic()
        job.running, job.failed, job.told = True, False, None

    def _finish(self, number: Hashable) -> None:
        job = self._jobs.get(number)
        if job is None or number not in self._began:
            return
        _, benchmark = self._files[number]
        took = seconds_of(benchmark) if benchmark else None
        job.running, job.seconds = False, took or time.monotonic() - self._began[number]
        if job.task.takes_long and self._below is None:
            self._write()

    def _look(self) -> None:
        """Read what running jobs tell, and show it, once in a while."""
        while not self._ended.wait(_LOOK_EVERY):
            with self.lock:
                running = [number for number, job in self._jobs.items() if job.running]
                for number in running:
                    log, _ = self._files[number]
                    told = read_told(log) if log else None
                    if told is not None:
                        self._jobs[number].told = told
                telling = sum(self._jobs[number].told is not None for number in running)
                self._most = max(self._most, telling)
                if self._below is None:
                    if running and time.monotonic() - self._written >= _WRITE_EVERY:
                        self._write()
                    continue
                line = self._line(self._below.width) if running else ""
            with self._showing.lock:
                if line and not self._ended.is_set():
                    self._below.draw(line)
                else:
                    self._below.clear()

    def _write(self) -> None:
        """Write a line that stays."""
        self._written = time.monotonic()
        with self._showing.lock:
            self._showing.stream.write(f"Progress: {self._line()}\n")
            self._showing.flush()

    def _line(self, width: int | None = None) -> str:
        running = [job for job in self._jobs.values() if job.running]
        found = forecast(self._jobs, self._at_a_time or self._most)
        return in_words(found, running, width)


def seconds_of(benchmark: str | Path) -> float | None:
    """The wall time in a benchmark file of Snakemake; None where there is none."""
    try:
        return float(Path(benchmark).read_text().splitlines()[-1].split("\t")[0])
    except (OSError, ValueError, IndexError):
        return None


def _event(record: logging.LogRecord) -> str:
    return str(getattr(record, "event", ""))
