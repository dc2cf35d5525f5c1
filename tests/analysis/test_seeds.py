"""Access to runs: groups, those that count, where they begin to interpolate."""

import json

import xarray as xr

from flatness.analysis.seeds import grouped, interpolation_iteration, split_excluded


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
