"""Where two folders of files begin to differ."""

import numpy as np
import pytest
import xarray as xr

from flatness.checking.files import differences, first_difference, first_line
from flatness.storage import write_dataset


@pytest.mark.parametrize(
    ("published", "made", "expected"),
    [
        ("a\nb\n", "a\nc\n", 'line 2: published is "b", made anew is "c"'),
        ("a\nb\n", "a\n", 'line 2: published is "b", made anew is no such line'),
        ("a\n", "a\nb\n", 'line 2: published is no such line, made anew is "b"'),
        ("a\r\n", "a\n", "differs in the ends of its lines"),
        ("ab\n", "a\n", 'line 1: published is "ab", made anew is "a"'),
    ],
)
def test_the_first_line(published, made, expected):
    assert first_line(published, made) == expected


def test_a_long_line_is_shown_where_it_differs():
    line = "x" * 500
    found = first_line(f"{line}1{line}", f"{line}2{line}")
    assert found == (
        f'line 1: published is "...{"x" * 40}1{"x" * 39}...", '
        f'made anew is "...{"x" * 40}2{"x" * 39}..."'
    )


def test_every_file_has_its_place(tmp_path):
    for folder, texts in {
        "made": {"a.csv": "1", "b.csv": "2", "c.csv": "3"},
        "published": {"a.csv": "1", "b.csv": "4", "d.csv": "3", ".e.csv": ""},
    }.items():
        (tmp_path / folder).mkdir()
        for name, text in texts.items():
            (tmp_path / folder / name).write_text(text)
    found = differences(tmp_path / "made", tmp_path / "published", "[!.]*.*")
    assert list(found) == ["b.csv", "c.csv", "d.csv"]
    assert found["c.csv"] == "is missing"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda one: one, "has the same contents in other bytes"),
        (lambda one: one.assign_attrs(unit="m"), 'attribute unit: published is "m", made anew is '),
        (lambda one: one.assign(x=one.x.assign_attrs(unit="m")), "x attribute unit: published is "),
        (
            lambda one: one.assign(x=one.x + np.array([0, 1, 0])),
            "x (run 1): published is 3.0, made anew ",
        ),
        (lambda one: one.assign(x=("run", [np.nan, 2, 4])), "x (run 2): published is 4.0, made "),
        (lambda one: one.isel(run=[0, 1]), "x has the shape (2,), made anew (3,)"),
        (lambda one: one.assign(y=1), "y is in one of the two only"),
    ],
)
def test_the_first_place_in_netcdf(tmp_path, change, expected):
    made = xr.Dataset({"x": ("run", [np.nan, 2.0, 3.0])})
    write_dataset(made, tmp_path / "made.nc")
    write_dataset(change(made), tmp_path / "published.nc")
    assert first_difference(tmp_path / "made.nc", tmp_path / "published.nc").startswith(expected)
