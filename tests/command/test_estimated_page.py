"""`flatness measure --probes`: the numbers of the library, and a page that says so."""

import re

import numpy as np
import pytest
import xarray as xr

import flatness
from flatness.storage import read_dataset


def test_the_page_has_estimates_with_their_errors(here, measured):
    page = measured(probes=12, seed=3)
    assert (here / "out/found.md").read_text() == page
    found = read_dataset(here / "out/found.nc")
    assert (found.attrs["probes"], found.attrs["seed"]) == (12, 3)
    assert re.search(
        r"\| estimate +\| from 12 random combinations of the outputs, seed 3, in the place of all",
        page,
    )
    values = flatness.quantities(found)
    cells = {}
    for line in page.partition("## Quantities")[2].partition("## Layers")[0].splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            name, *rest = (cell.strip() for cell in line[1:-1].split(" | "))
            cells[name] = rest
    assert cells.pop("name") == ["in words", "value", "standard error", "paper"]
    for name in ("sharpness", "adaptive_sharpness", "mean_input_gradient_sq_norm"):
        assert float(cells[name][1]) == pytest.approx(float(values[name]), rel=5e-6)
        error = float(values[f"{name}_standard_error"])
        assert float(cells[name][2]) == pytest.approx(error, rel=5e-6)
        assert f"{name}_standard_error" not in cells
    assert float(cells["mls"][1]) == pytest.approx(float(values["mls"]), rel=5e-6)
    assert "mls_residual" in cells
    assert cells["log_volume"][1].startswith("absent (")
    assert ". needs all singular values, of which random probes give none but the largest" in page
    assert "## Inequalities\n\nNot looked at: the noise of estimates would violate them." in page
    assert "eq11" not in page


def test_the_numbers_are_those_of_the_library(here, measured):
    measured(probes=4)
    found = read_dataset(here / "out/found.nc")
    measured(probes=4, seed=1, overwrite=True)
    other = read_dataset(here / "out/found.nc")
    assert found.attrs["seed"] == 0
    assert other.attrs["seed"] == 1
    for name in ("input_norm", "network_output", "layer_operator_norm"):
        xr.testing.assert_equal(found[name], other[name])
    name = "input_gradient_sq_norm"
    assert not np.isclose(found[name], other[name]).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probes": 1}, r"--probes 1\. Allowed: 2 or more"),
        ({"seed": 4}, r"--seed 4: nothing is drawn\. Allowed: with --probes only"),
    ],
)
def test_refused(refused, options, message):
    assert re.match(message, refused(**options))
