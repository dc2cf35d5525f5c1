"""Two folders of files that should be the same, byte for byte: where the first difference is."""

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from flatness.errors import StorageError
from flatness.storage import read_dataset

# Characters of a line that are shown on each side of where it begins to differ.
_SHOWN = 40


def differences(made: Path, published: Path, pattern: str) -> dict[str, str]:
    """What is not the same in two folders.

    Args:
        made: the folder made anew.
        published: the folder that is published.
        pattern: of the names that count.

    Returns:
        By name in alphabetical order, where and what the first difference is.
    """
    here, there = (
        {file.name for file in folder.glob(pattern) if file.is_file()}
        for folder in (made, published)
    )
    found = {}
    for name in sorted(here | there):
        if name not in there:
            found[name] = "is missing"
        elif name not in here:
            found[name] = "is published, but nothing of that name is made of results.nc"
        elif (made / name).read_bytes() != (published / name).read_bytes():
            found[name] = first_difference(made / name, published / name)
    return found


def first_difference(made: Path, published: Path) -> str:
    """The first place at which two files differ, with what both say there."""
    if published.suffix == ".nc":
        return _first_variable(made, published)
    there, here = (file.read_text("utf-8", "replace") for file in (published, made))
    return first_line(there, here)


def first_line(published: str, made: str) -> str:
    """The first line in which two texts differ, with what both say there."""
    lines = zip_longest(published.splitlines(), made.splitlines())
    for number, (there, here) in enumerate(lines, start=1):
        if there != here:
            return f"line {number}: published is {_around(there, here)}, made anew is " + _around(
                here, there
            )
    return "differs in the ends of its lines"


def _around(line: str | None, other: str | None) -> str:
    """A line from a little before where it begins to differ from another one."""
    if line is None:
        return "no such line"
    pairs = zip_longest(line, other or "")
    first = next(place for place, (one, two) in enumerate(pairs) if one != two)
    begin = max(0, first - _SHOWN)
    part = line[begin : first + _SHOWN]
    before, after = "..." * (begin > 0), "..." * (first + _SHOWN < len(line))
    return f'"{before}{part}{after}"'


def _first_variable(made: Path, published: Path) -> str:
    try:
        there = read_dataset(published)
    except StorageError as error:
        return str(error).removeprefix(f"{published}: ")
    here = read_dataset(made)
    for name in sorted({*map(str, there.variables), *map(str, here.variables)}):
        if name not in there.variables or name not in here.variables:
            return f"{name} is in one of the two only"
        one, other = there[name], here[name]
        if not one.identical(other):
            return f"{name}{_first_entry(one, other)}"
    if there.attrs != here.attrs:
        return _first_attribute(there.attrs, here.attrs).strip()
    return "has the same contents in other bytes"


def _first_entry(published: xr.DataArray, made: xr.DataArray) -> str:
    if published.shape != made.shape:
        return f" has the shape {published.shape}, made anew {made.shape}"
    one, other = (np.atleast_1d(each.to_numpy()) for each in (published, made))
    equal = (one == other) | ((one != one) & (other != other))
    if equal.all():
        return _first_attribute(published.attrs, made.attrs)
    place = tuple(int(index) for index in np.argwhere(~equal)[0])
    where = ", ".join(f"{dim} {index}" for dim, index in zip(published.dims, place, strict=False))
    return f" ({where}): published is {one[place]}, made anew is {other[place]}"


def _first_attribute(published: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    for key in sorted({**published, **made}):
        one, other = (str(each.get(key, "absent")) for each in (published, made))
        if one != other:
            return f" attribute {key}: published is {_around(one, other)}, made anew is " + _around(
                other, one
            )
    return " has other coordinates"
