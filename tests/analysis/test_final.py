"""The one definition of a run's final value."""

import numpy as np
import pytest
import xarray as xr

from flatness.analysis.final import final_checkpoints, final_value


def curve(values, iteration) -> xr.DataArray:
    return xr.DataArray(
        np.array(values, float),
        dims="checkpoint",
        coords={"iteration": ("checkpoint", list(iteration))},
    )


@pytest.mark.parametrize(
    ("iteration", "expected"),
    [
        # 80 is not after four fifths of 100.
        ((0, 10, 80, 81, 90, 100), (81, 90, 100)),
        ((0, 1, 100), (100,)),
        ((0, 79, 99), (99,)),
        ((0,), (0,)),
        # In floating point 0.8 * 15 is 12.000000000000002.
        ((0, 12, 13, 15), (13, 15)),
    ],
)
def test_the_last_fifth_and_always_the_last_checkpoint(iteration, expected):
    iteration = np.array(iteration)
    assert tuple(iteration[final_checkpoints(iteration)]) == expected


def test_a_final_value_is_the_mean_over_these():
    values = curve([9, 8, 7, 3, 4, 8], (0, 10, 80, 81, 90, 100))
    assert final_value(values) == 5
    assert final_value(values, last_checkpoint=True) == 8


@pytest.mark.parametrize("broken", [[np.nan, 1, 1], [1, -np.inf, 1], [np.inf, -np.inf, 1]])
def test_one_value_that_is_not_finite_makes_it_not_finite(broken):
    iteration = (0, 81, 90, 100)
    assert not np.isfinite(final_value(curve([1, *broken], iteration)))
    assert final_value(curve([np.nan, 1, 2, 3], iteration)) == 2
    assert final_value(curve([1, *broken], iteration), last_checkpoint=True) == 1
