"""Which checkpoints of a run are evenly spaced."""

import json

import pytest
import xarray as xr

from flatness.analysis.over_training import evenly_spaced
from flatness.experiment.schedule import checkpoint_iterations


@pytest.mark.parametrize(
    ("iterations", "early", "late"), [(150_000, 20, 40), (3600, 8, 12), (1000, 7, 7), (10, 5, 4)]
)
def test_they_are_multiples_of_the_spacing(iterations, early, late):
    schedule = checkpoint_iterations(iterations, early, late)
    run = xr.Dataset(
        coords={"iteration": ("checkpoint", list(schedule))},
        attrs={"settings": json.dumps({"iterations": iterations, "late_checkpoints": late})},
    )
    found = run["iteration"].to_numpy()[evenly_spaced(run)]
    assert len(found) == late < len(schedule)
    assert abs(found * late / iterations - range(1, late + 1)).max() <= 0.51 * late / iterations
