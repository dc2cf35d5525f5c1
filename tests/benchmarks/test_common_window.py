"""Rates of processes over the window in which all of them work."""

import os
import time

import pytest

from tests.benchmarks.side_by_side import common_rate, summed_rate


def test_only_the_common_window_counts():
    """The first is fast before the second begins, and after it has ended."""
    first = [(0.0, 0), (2.0, 1000), (4.0, 1200), (6.0, 1400), (7.0, 6000)]
    second = [(2.0, 0), (3.0, 50), (5.0, 150), (6.0, 200)]
    assert common_rate([first, second]) == pytest.approx(100 + 50)


def test_a_piece_over_an_end_of_the_window_counts_in_part():
    assert common_rate([[(0.0, 0), (10.0, 100)], [(4.0, 0), (5.0, 7)]]) == pytest.approx(10 + 7)


def test_processes_that_never_work_at_once_have_no_rate():
    with pytest.raises(ValueError, match="no time at which all"):
        common_rate([[(0.0, 0), (1.0, 5)], [(2.0, 0), (3.0, 5)]])


def sleeping(seconds, before):
    time.sleep(before if os.getpid() % 2 else 0)

    def step():
        time.sleep(seconds)
        return 10

    return step


def failing():
    raise KeyError("on purpose")


def dying():
    os._exit(3)


def test_processes_wait_for_each_other():
    rate = summed_rate(2, sleeping, 0.05, 0.5, seconds=1.0)
    assert 0 < rate <= 2 * 10 / 0.05  # what was prepared for half a second is not in it


@pytest.mark.parametrize(
    ("what", "message"), [(failing, "A process failed: KeyError"), (dying, "before its work")]
)
def test_a_process_that_fails_ends_all(what, message):
    with pytest.raises(RuntimeError, match=message):
        summed_rate(2, what, seconds=0.1)
