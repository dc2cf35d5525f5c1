"""Means and bands over seeds."""

import json

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from flatness.analysis.seeds import (
    grouped,
    interpolation_iteration,
    mean_and_band,
    split_excluded,
)


def run(name="run", accuracy=(0.1, 0.5, 0.9995, 1.0), diverged=0, **settings):
    return xr.Dataset(
        {"train_accuracy": ("checkpoint", list(accuracy))},
        coords={"iteration": ("checkpoint", [0, 10, 100, 1000])},
        attrs={
            "run": name,
            "settings": json.dumps(settings),
            "diverged": diverged,
            "excluded_because": "why" if diverged else "",
        },
    )


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_band_is_students_interval(confidence):
    values = np.random.default_rng(0).normal(size=(5, 7))
    band = mean_and_band(values, confidence)
    low, high = scipy.stats.t.interval(
        confidence, 4, loc=values.mean(0), scale=scipy.stats.sem(values, axis=0)
    )
    assert np.allclose(band.mean, values.mean(0))
    assert np.allclose(band.low, low)
    assert np.allclose(band.high, high)


def test_band_covers_the_mean_as_often_as_it_says():
    draw = np.random.default_rng(1)
    bands = mean_and_band(draw.normal(3, 2, size=(4, 20000)), 0.9)
    covered = ((bands.low <= 3) & (bands.high >= 3)).mean()
    assert abs(covered - 0.9) < 0.01


@pytest.mark.parametrize("runs", [1, 2])
def test_too_few_runs_have_no_band(runs):
    band = mean_and_band(np.ones((runs, 3)), 0.95)
    assert band.low is None
    assert band.high is None
    assert list(band.mean) == [1, 1, 1]


def test_interpolation_begins_at_the_first_checkpoint_above_the_threshold():
    assert interpolation_iteration(run(), 0.999) == 100
    assert interpolation_iteration(run(), 1.0) == 1000
    assert interpolation_iteration(run(accuracy=(0, 0, 0, 0)), 0.999) is None


def test_runs_are_grouped_in_increasing_order():
    runs = [run(learning_rate=rate) for rate in (0.2, 0.05, 0.2)]
    groups = grouped(runs, "learning_rate")
    assert list(groups) == [0.05, 0.2]
    assert [len(members) for members in groups.values()] == [1, 2]


def test_excluded_runs_are_named_with_the_reason():
    counted, excluded = split_excluded([run("good"), run("bad", diverged=1)])
    assert [r.attrs["run"] for r in counted] == ["good"]
    assert excluded == {"bad": "why"}
