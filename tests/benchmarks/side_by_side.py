"""Processes that do the same at once, and their summed rate over one common window.

Each says when it is ready, waits for all others, and then works for the same time, noting after
each piece of work how much it has done. Only what lies within the window in which all of them
worked counts, so that no process is measured while another one still starts or has ended.
"""

import multiprocessing
import time
from collections.abc import Callable, Sequence

import numpy as np

# (time in s of a clock that all processes share, work done until then)
Stamp = tuple[float, int]


def summed_rate(
    count: int, prepare: Callable[..., Callable[[], int]], *arguments: object, seconds: float
) -> float:
    """Work per second of some processes together.

    Args:
        count: processes.
        prepare: called in each of them with the arguments; returns what does one piece of work,
            waits until it is done, and returns how much it was. Must be found by its name.
        arguments: of `prepare`.
        seconds: for which each works.
    """
    spawning = multiprocessing.get_context("spawn")
    barrier, results = spawning.Barrier(count), spawning.SimpleQueue()
    working = [
        spawning.Process(target=_work, args=(barrier, results, seconds, prepare, arguments))
        for _ in range(count)
    ]
    for process in working:
        process.start()
    found = [_received(results, working) for _ in working]
    for process in working:
        process.join()
    return common_rate(found)


def common_rate(of_processes: Sequence[Sequence[Stamp]]) -> float:
    """The sum of the rates of several processes within the window in which all of them worked.

    A piece of work that reaches over an end of the window counts in proportion.

    Args:
        of_processes: the stamps of each, increasing, at least two.

    Raises:
        ValueError: there is no such window.
    """
    begin = max(stamps[0][0] for stamps in of_processes)
    end = min(stamps[-1][0] for stamps in of_processes)
    if begin >= end:
        raise ValueError("There is no time at which all processes worked.")
    total = 0.0
    for stamps in of_processes:
        times, done = zip(*stamps, strict=True)
        before, after = np.interp([begin, end], times, done)
        total += (after - before) / (end - begin)
    return float(total)


def _work(barrier, results, seconds: float, prepare: Callable, arguments: tuple) -> None:
    try:
        step = prepare(*arguments)
        step()  # libraries are loaded, graphs captured
        barrier.wait()
        done, started = 0, time.monotonic()
        stamps = [(started, 0)]
        while stamps[-1][0] < started + seconds:
            done += step()
            stamps.append((time.monotonic(), done))
    except Exception as error:
        barrier.abort()
        results.put(repr(error))
        return
    results.put(stamps)


def _received(results, working: list) -> list[Stamp]:
    """What one process says, or an error if one ended without a word."""
    while results.empty():
        if any(process.exitcode not in (None, 0) for process in working) and results.empty():
            raise RuntimeError("A process ended before its work was done.")
        time.sleep(0.01)
    found = results.get()
    if isinstance(found, str):
        raise RuntimeError(f"A process failed: {found}")
    return found
