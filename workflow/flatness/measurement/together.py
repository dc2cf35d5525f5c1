"""Datasets that `measure` returned, put together along a new dimension."""

import json
from collections.abc import Sequence
from typing import Any

import xarray as xr


def together(parts: Sequence[xr.Dataset], dimension: str, variables: Any = "all") -> xr.Dataset:
    """One Dataset of several that have the same variables, parameters and layers.

    Attributes are those that all have, and all that is said where they differ.

    Args:
        parts: at least one.
        dimension: the new one, the first of each variable that has it.
        variables: those that have it, or "all".

    Raises:
        ValueError: coordinates differ.
    """
    return xr.concat(
        parts,
        dimension,
        data_vars=variables,
        coords="minimal",
        compat="equals",
        join="exact",
        combine_attrs=united,
    )


def united(attributes: list[dict], context: Any = None) -> dict:
    """The attributes of the parts: those they share, and all that is said where they differ."""
    names = dict.fromkeys(name for each in attributes for name in each)
    return {
        name: _one(list(dict.fromkeys(each[name] for each in attributes if name in each)))
        for name in names
    }


def _one(values: list[Any]) -> Any:
    """One value for several: what all say, the union of lists, or one text after the other."""
    if len(values) == 1:
        return values[0]
    try:
        lists = [json.loads(value) for value in values]
    except (TypeError, ValueError):
        lists = []
    if lists and all(isinstance(each, list) for each in lists):
        return json.dumps(sorted({entry for each in lists for entry in each}))
    if lists and all(isinstance(each, dict) for each in lists):
        return json.dumps({name: value for each in lists for name, value in each.items()})
    return "; ".join(map(str, values))
