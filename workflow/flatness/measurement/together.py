"""Datasets that `measure` returned, put together along a new dimension."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import xarray as xr

# What all numbers of a Dataset have alike.
_ALIKE = ("dtype", "probes", "seed")
# Names by which variables are looked up, in words.
_LOOKED_UP = {
    "input_layer": "the layer that reads the inputs",
    "input_weight": "the parameter that multiplies the inputs",
    "output_layer": "the layer whose output is the network's",
}
# Sentences for people.
_TOLD = ("absent", "estimate")


def together(parts: Sequence[xr.Dataset], dimension: str, variables: Any = "all") -> xr.Dataset:
    """One Dataset of several that have the same variables, parameters and layers.

    Attributes are those that all have, and all that is said where they differ; see `united`.

    Args:
        parts: at least one.
        dimension: the new one, the first of each variable that has it.
        variables: those that have it, or "all".

    Raises:
        ValueError: coordinates differ, or what all numbers of a Dataset have alike.
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
    """The attributes of the parts: those they share, and all that is said where they differ.

    Facts that differ become one list, see `one_or_all`; reasons are told one after the other. A
    layer or parameter that is looked up by its name there has to be the same in all parts; what
    rests on it is absent where it is not.

    Raises:
        ValueError: parts differ in what all numbers of a Dataset have alike.
    """
    names = dict.fromkeys(name for each in attributes for name in each)
    found = {}
    for name in names:
        values = [each[name] for each in attributes if name in each]
        differ = len(set(values)) > 1
        if name in _ALIKE and differ:
            raise ValueError(f"{name}: {', '.join(map(str, dict.fromkeys(values)))}")
        if name in _LOOKED_UP and (differ or len(values) < len(attributes)):
            reason = f"{_LOOKED_UP[name]} is not the same in all: {', '.join(sorted(set(values)))}"
            found["absent"] = _told([*([found["absent"]] if "absent" in found else []), reason])
        elif name in _TOLD:
            found[name] = _told([*([found[name]] if name in found else []), *values])
        else:
            found[name] = one_or_all(values)
    return found


def one_or_all(values: Iterable[Any]) -> Any:
    """One value for several: what all say, else every value in a list, as JSON.

    Lists are put together; so are mappings, key by key.

    Args:
        values: of an attribute; texts that are JSON of lists and mappings count as these.
    """
    alike = list(dict.fromkeys(values))
    if len(alike) == 1:
        return alike[0]
    decoded = [_decoded(value) for value in alike]
    if all(isinstance(each, dict) for each in decoded):
        keys = dict.fromkeys(key for each in decoded for key in each)
        return json.dumps({k: _all([each[k] for each in decoded if k in each]) for k in keys})
    return json.dumps(_sorted_entries(decoded), default=lambda number: number.item())


def _all(values: list[Any]) -> Any:
    """As `one_or_all`, of what was decoded."""
    return values[0] if all(each == values[0] for each in values) else _sorted_entries(values)


def _sorted_entries(values: list[Any]) -> list[Any]:
    """The entries of lists, and what is no list, each once."""
    entries = [e for each in values for e in (each if isinstance(each, list) else [each])]
    return sorted({json.dumps(e, default=lambda n: n.item()): e for e in entries}.values(), key=str)


def _decoded(value: Any) -> Any:
    """The list or mapping that a text is the JSON of; else the value itself."""
    try:
        found = json.loads(value)
    except (TypeError, ValueError):
        return value
    return found if isinstance(found, list | dict) else value


def _told(reasons: list[str]) -> str:
    """Reasons, each once; those of a part may be several."""
    return "; ".join(dict.fromkeys(each for reason in reasons for each in reason.split("; ")))
