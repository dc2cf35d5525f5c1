"""The words of the line."""

import pytest

from flatness.progress.forecast import AT_LEAST, Forecast, Job
from flatness.progress.tasks import Task
from flatness.progress.told import Told
from flatness.progress.words import duration, in_words

FOUND = Forecast(finished=5, jobs=21, share=0.345, left=4300.0)


def _job(rule, what, units=0, told=None):
    return Job(Task(rule, what, what, units, 1.0, (rule,)), running=True, told=told)


def test_the_whole_line():
    running = [
        _job("train_run", "a", 1000, Told(0.0, 0.25, 0.5)),
        _job("train_run", "b", 2000, Told(0.5, 0.75, 0.5)),
        _job("measure_run", "c", 60, Told(0.0, 0.5, 20.0)),
        _job("draw_figure", "fig1"),
    ]
    assert in_words(FOUND, running) == (
        "34 % | 5/21 jobs | 1 h 12 min left | 1,500 it/s | 90.0 checkpoints/min | "
        "training a 25 %, training b 75 %, measuring c 50 %, drawing fig1"
    )


def test_numbers_of_jobs_where_there_is_no_room_for_names():
    running = [_job("train_run", "a" * 60), *(_job("train_run", "b" * 60) for _ in range(3))]
    for job, share in zip(running, (0.03, 0.9, 0.25, 0.09), strict=True):
        job.told = Told(0.0, share, 1.0)
    running.append(_job("measure_run", "c" * 60))
    line = in_words(FOUND, running, width=80)
    assert line == ("34 % | 5/21 jobs | 1 h 12 min left | training 4 (3 to 90 %), measuring 1")


def test_it_is_never_longer_than_the_terminal_is_wide():
    line = in_words(FOUND, [_job("train_run", "a" * 60)], width=30)
    assert line == "34 % | 5/21 jobs | 1 h 12 min…"


def test_what_is_not_known_is_not_told():
    nothing = Forecast(0, 21, None, None)
    assert in_words(nothing, []) == "? % | 0/21 jobs | ? left"
    bound = Forecast(1, 21, None, 120.0, AT_LEAST)
    assert in_words(bound, []) == "? % | 1/21 jobs | >2 min left"


def test_all_is_done_only_when_it_is():
    assert in_words(Forecast(20, 21, 0.999, 1.0), []).startswith("99 % ")
    assert in_words(Forecast(21, 21, 1.0, 0.0), []).startswith("100 % ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (59, "59 s"),
        (90 * 60, "1 h 30 min"),
        (3599, "1 h 0 min"),
        (50 * 3600, "2 d 2 h"),
    ],
)
def test_times_in_the_units_that_matter(seconds, text):
    assert duration(seconds) == text
