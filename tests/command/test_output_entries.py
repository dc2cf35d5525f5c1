"""Networks of the command that return more than one tensor (images, N)."""

import json

import numpy as np
import pytest

from flatness.storage import read_dataset

OWN = """
from torch import nn

import factories


class Own(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.network, self.kind = factories.dense(), kind

    def forward(self, x):
        y = self.network(x)
        if self.kind == "dict":
            return {"features": x, "logits": y}
        return (x, y) if self.kind == "tuple" else y[:, None]
"""


@pytest.mark.parametrize(
    ("kind", "entry"), [("dict", "logits"), ("tuple", "1"), ("tuple", "-1"), ("axes", "flatten")]
)
def test_the_numbers_are_those_of_what_was_chosen(here, measured, kind, entry):
    (here / "own.py").write_text(OWN)
    arguments = json.dumps({"kind": kind})
    page = measured(factory="own.py:Own", arguments=arguments, output_entry=entry)
    found = read_dataset(here / "out/found.nc")
    measured(output="out/expected.nc")
    expected = read_dataset(here / "out/expected.nc")
    for name in ("singular_value", "parameter_gradient_sq_norm", "network_output"):
        np.testing.assert_array_equal(found[name], expected[name])
    assert found.attrs["output"] == entry
    assert f"entry {entry} of what is returned" in page


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (
            "dict",
            {},
            "(2, 3), for 2 samples. Allowed: one tensor of shape (2, N). Give "
            "--output-entry logits.",
        ),
        ("tuple", {}, "Give --output-entry 0."),
        (
            "axes",
            {},
            "Give --output-entry flatten for all 3 numbers of a sample, or "
            "--output-entry -1 for those at the last position of the second axis.",
        ),
        (
            "dict",
            {"output_entry": "out"},
            "--output-entry out: the network of FACTORY own.py:Own returned a dict with",
        ),
        (
            "dict",
            {"output_entry": "x", "layer": "network.1"},
            "--output-entry x: --layer network.1 returned a tensor of shape (2, 5), for 2 samples.",
        ),
    ],
)
def test_refused_with_the_option_that_works(here, refused, kind, options, message):
    (here / "own.py").write_text(OWN)
    line = refused(factory="own.py:Own", arguments=json.dumps({"kind": kind}), **options)
    assert message in line
