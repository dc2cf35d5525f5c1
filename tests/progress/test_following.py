"""The line as Snakemake's log records move it, without Snakemake."""

import io
import logging
import time

import pytest

from flatness.progress import following
from flatness.progress.following import follow, seconds_of
from flatness.progress.tasks import Task
from flatness.progress.told import progress_file

TASKS = {
    1: Task("train_run", "a", "a", 1000, 1000.0, (("train_run", "mlp"), "mlp")),
    2: Task("train_run", "b", "b", 1000, 1000.0, (("train_run", "mlp"), "mlp")),
    3: Task("draw_figure", "fig1", None, 0, 1.0, ("draw_figure",)),
}


class Stream(io.StringIO):
    """What Snakemake writes to."""

    terminal = False

    def isatty(self):
        return self.terminal


class Snakemake:
    """Its log, and what it says there of jobs."""

    def __init__(self, folder, terminal):
        self.folder = folder
        self.stream = Stream()
        self.stream.terminal = terminal
        self.log = logging.Logger("snakemake")
        shown = logging.StreamHandler(self.stream)
        shown.name = "DefaultStreamHandler"
        self.log.addHandler(shown)
        follow(self.log, lambda: TASKS, 1)

    def say(self, text, event=None, **fields):
        self.log.info(text, extra={"event": event} | fields)

    def begin(self):
        self.say("Job stats:", "run_info")

    def start(self, job):
        self.say(
            f"Job {job}",
            "job_info",
            jobid=job,
            log=[str(self.folder / f"{job}.log")],
            benchmark=str(self.folder / f"{job}.tsv"),
        )

    def finish(self, job, seconds):
        (self.folder / f"{job}.tsv").write_text(f"s\th:m:s\n{seconds}\t0:00:00\n")
        self.say(f"Finished {job}", "job_finished", job_id=job)
        self.say("1 of 21 steps (5%) done", "progress")

    def tell(self, job, text):
        progress_file(self.folder / f"{job}.log").write_text(text)

    def close(self):
        for handler in list(self.log.handlers):
            self.log.removeHandler(handler)
            handler.close()

    def wait_for(self, text):
        """Until it is shown; a minute is far more than it takes."""
        for _ in range(6000):
            if text in self.stream.getvalue():
                return
            time.sleep(0.01)
        pytest.fail(f"{text!r} is not in {self.stream.getvalue()!r}")

    @property
    def screen(self) -> list[str]:
        """The lines that are seen in the end."""
        return [line.split("\r\x1b[K")[-1] for line in self.stream.getvalue().split("\n")]


@pytest.fixture
def snakemake(tmp_path, monkeypatch):
    """A function: Snakemake on a terminal, or elsewhere."""
    monkeypatch.setattr(following, "_LOOK_EVERY", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    made = []

    def make(terminal=True):
        made.append(Snakemake(tmp_path, terminal))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_terminal_shows_what_runs_below_what_is_said(snakemake):
    it = snakemake()
    it.begin()
    it.start(1)
    it.wait_for("? % | 0/3 jobs | ? left | training a")
    it.tell(1, "0.0 0.5 10.0")
    it.wait_for("| 50 it/s | training a 50 %")
    it.say("A warning of Snakemake")
    it.wait_for("A warning of Snakemake\n\r\x1b[K")
    it.finish(1, 20.0)
    it.close()
    assert it.screen == ["Job stats:", "Job 1", "A warning of Snakemake", "Finished 1", ""]


def test_errors_stay_and_a_failed_job_runs_no_more(snakemake):
    it = snakemake()
    it.begin()
    it.start(1)
    it.start(2)
    it.wait_for("training a, training b")
    it.say("Error in rule train_run", "job_error", jobid=1)
    it.wait_for("left | training b")
    it.close()
    assert "Error in rule train_run" in it.screen


def test_what_a_killed_attempt_told_is_not_believed(snakemake):
    it = snakemake()
    it.tell(1, "0.0 0.5 10.0")
    it.begin()
    it.start(1)
    it.wait_for("training a")
    it.close()
    assert "50 %" not in it.stream.getvalue()


def test_elsewhere_a_line_is_written_for_each_run_and_none_redrawn(snakemake):
    it = snakemake(terminal=False)
    it.begin()
    it.start(1)
    it.finish(1, 20.0)
    it.start(2)
    it.start(3)
    it.finish(3, 2.0)
    it.finish(2, 20.0)
    it.close()
    assert it.screen == [
        "Job stats:",
        "Job 1",
        "Finished 1",
        "Progress: 44 % | 1/3 jobs | 25 s left",
        "Job 2",
        "Job 3",
        "Finished 3",
        "Finished 2",
        "Progress: 100 % | 3/3 jobs | 0 s left",
        "",
    ]


def test_elsewhere_a_line_is_written_every_few_minutes(snakemake, monkeypatch):
    monkeypatch.setattr(following, "_WRITE_EVERY", 0.05)
    it = snakemake(terminal=False)
    it.begin()
    it.start(1)
    it.tell(1, "0.0 0.5 10.0")
    it.wait_for("Progress: 22 % | 0/3 jobs | 35 s left | 50 it/s | training a 50 %\n")
    it.close()


def test_where_another_logger_writes_there_is_no_line():
    log = logging.Logger("snakemake")
    log.addHandler(logging.NullHandler())
    follow(log, dict, 1)
    assert len(log.handlers) == 1


@pytest.mark.parametrize("text", [None, "", "s\th:m:s\n", "s\n-\n"])
def test_a_benchmark_that_says_nothing(tmp_path, text):
    if text is not None:
        (tmp_path / "job.tsv").write_text(text)
    assert seconds_of(tmp_path / "job.tsv") is None
