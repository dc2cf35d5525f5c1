"""What a job tells in a file beside its log."""

import pytest

from flatness.jobs.log import job_log
from flatness.progress import told
from flatness.progress.share import done
from flatness.progress.told import Told, progress_file, read_told, telling


@pytest.fixture
def clock(monkeypatch):
    """A function that lets time pass, in seconds."""
    now = [100.0]
    monkeypatch.setattr(told.time, "monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


@pytest.fixture
def log(tmp_path):
    return tmp_path / "mlp_lr0.1_bs20_seed0.log"


def test_the_share_since_the_first_that_was_told(clock, log):
    with telling(log):
        assert read_told(log) is None
        done(0.25)  # by an earlier attempt
        clock(30)
        done(0.5)
        assert read_told(log) == Told(first=0.25, share=0.75, seconds=30)


def test_it_is_written_once_a_second_at_most(clock, log):
    with telling(log):
        done(0)
        for _ in range(3):
            clock(0.375)
            done(0.125)
        assert read_told(log) == Told(0, 0.375, 1.125)
        progress_file(log).unlink()
        clock(0.5)
        done(0.125)
        assert not progress_file(log).exists()


def test_more_than_all_is_never_done(clock, log):
    with telling(log):
        done(0.75)
        clock(2)
        done(0.5)
        assert read_told(log).share == 1


def test_the_file_is_there_while_the_job_runs_only(log):
    with job_log(log):
        done(0.5)
        assert progress_file(log).exists()
    assert [path.name for path in log.parent.iterdir()] == [log.name]


def test_a_failed_job_leaves_none(log):
    def fail():
        done(0.5)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), job_log(log):
        fail()
    assert not progress_file(log).exists()


@pytest.mark.parametrize("half_written", ["", "0.0 0.5", "0.0 0.5 x"])
def test_what_is_just_being_written_is_not_read(log, half_written):
    progress_file(log).write_text(half_written)
    assert read_told(log) is None


def test_a_job_goes_on_where_nothing_can_be_written(log):
    progress_file(log).mkdir()
    with telling(log):
        done(0.5)
    assert read_told(log) is None
