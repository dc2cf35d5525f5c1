"""How much is done and how long the rest takes, checked by hand."""

import pytest

from flatness.progress.forecast import ABOUT, AT_LEAST, KNOWN, Job, forecast
from flatness.progress.tasks import SECONDS, Task
from flatness.progress.told import Told


def _training(run="a", study="mlp", batch_size=20, iterations=1000, **state):
    alike = (("train_run", study, batch_size), ("train_run", study), study)
    return Job(Task("train_run", run, run, iterations, float(iterations), alike), **state)


def _measuring(run="a", study="mlp", checkpoints=5, **state):
    alike = (("measure_run", study, 20), ("measure_run", study), study)
    return Job(Task("measure_run", run, run, checkpoints, 200.0 * checkpoints, alike), **state)


def _drawing(**state):
    return Job(Task("draw_figure", "fig1", None, 0, 1.0, ("draw_figure",)), **state)


def _of(*jobs, at_a_time=1):
    return forecast(dict(enumerate(jobs)), at_a_time)


def test_nothing_is_known_before_a_job_has_told():
    found = _of(_training(running=True), _measuring(), _drawing())
    assert (found.finished, found.jobs, found.share, found.left) == (0, 3, None, None)


def test_jobs_take_what_those_took_that_are_alike():
    found = _of(_training("a", seconds=60.0), _training("b"), _training("c", iterations=500))
    assert found.left == pytest.approx(60 + 30)
    assert found.share == pytest.approx(60 / 150)
    assert found.certainty == KNOWN


def test_a_training_does_not_weigh_like_a_plot():
    found = _of(_training(seconds=1995.0), _drawing())
    assert found.share == pytest.approx(1995 / (1995 + SECONDS))
    assert found.left == SECONDS


def test_jobs_of_one_batch_size_decide_before_others_of_the_study():
    jobs = [
        _training("a", batch_size=20, seconds=100.0),
        _training("b", batch_size=8, seconds=40.0),
    ]
    assert _of(*jobs, _training("c", batch_size=8)).left == pytest.approx(40, rel=0.15)
    assert _of(*jobs, _training("c", batch_size=32)).left == pytest.approx(70, rel=0.01)


def test_measuring_is_guessed_from_training_until_one_job_has_told():
    trained = _training(seconds=100.0)
    guessed = _of(trained, _measuring())
    assert (guessed.left, guessed.certainty) == (pytest.approx(100), ABOUT)
    known = _of(trained, _measuring(seconds=20.0), _measuring("b"))
    assert known.certainty == KNOWN
    # Both jobs of the study took 60 s on average, and a guess counts as a tenth of a job.
    of_rule = (20 + 0.1 * 60) / 1.1
    assert known.left == pytest.approx((20 + 0.1 * of_rule) / 1.1)


def test_another_study_makes_it_a_lower_bound():
    found = _of(_training(seconds=100.0), _training("b"), _training("c", study="vgg10"))
    assert (found.left, found.certainty, found.share) == (pytest.approx(100), AT_LEAST, None)


def test_only_quick_jobs_being_known_is_knowing_nothing():
    found = _of(_drawing(seconds=3.0), _drawing(), _training("c"))
    assert found.left is None


def test_a_running_job_goes_on_at_its_own_pace():
    told = Told(first=0.0, share=0.75, seconds=30.0)
    found = _of(_training(running=True, told=told))
    assert found.left == pytest.approx(10)
    assert found.share == pytest.approx(0.75)


def test_what_an_earlier_attempt_did_took_no_time_of_this_one():
    told = Told(first=0.5, share=0.75, seconds=30.0)
    assert _of(_training(running=True, told=told)).left == pytest.approx(30)
    resumed = _training("a", seconds=60.0, told=Told(0.5, 0.9, 50.0))
    assert _of(resumed, _training("b")).left == pytest.approx(120)


def test_the_first_slow_steps_of_a_job_do_not_frighten():
    first = Told(first=0.0, share=0.01, seconds=10.0)
    jobs = [_training("a", seconds=60.0), _training("b", running=True, told=first)]
    assert 59 < _of(*jobs).left < 80


def test_jobs_side_by_side_share_the_rest():
    jobs = [_training("a", seconds=60.0), *(_training(run) for run in "bcde")]
    assert _of(*jobs, at_a_time=2).left == pytest.approx(120)
    assert _of(*jobs, at_a_time=4).left == pytest.approx(60)


def test_the_jobs_of_one_run_come_one_after_the_other():
    jobs = [_training("a", seconds=60.0), _measuring("a", seconds=40.0)]
    one = _of(*jobs, _training("b"), _measuring("b"))
    assert _of(*jobs, _training("b"), _measuring("b"), at_a_time=8).left == pytest.approx(one.left)


def test_nothing_waits_for_a_run_that_failed():
    jobs = [_training("a", seconds=60.0), _training("b", failed=True), _measuring("b")]
    assert _of(*jobs).left == 0


def test_all_done():
    found = _of(_training(seconds=60.0), _drawing(seconds=2.0))
    assert (found.finished, found.share, found.left) == (2, 1, 0)


def test_rates_count_what_this_attempt_did():
    job = _training(running=True, told=Told(0.5, 0.75, 10.0))
    assert job.units_per_second == 25
    assert _training(running=True, told=Told(0.5, 0.5, 0.0)).units_per_second is None
