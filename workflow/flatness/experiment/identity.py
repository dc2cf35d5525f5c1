"""What tells the state of one run from that of another."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

_CALLED = {
    "code": "the code of training",
    "dataset_checksum": "the dataset",
    "iterations_per_epoch": "iterations in an epoch",
    "torch": "the version of torch",
}


def identity(facts: Mapping[str, Any]) -> str:
    """A digest of everything that decides a run's bits."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """What differs between a stored state and the run that is at hand, with both values.

    Args:
        there: facts of the state.
        here: facts of the run.
    """
    one, other = dict(_flat(there)), dict(_flat(here))
    names = [name for name in dict.fromkeys([*other, *one]) if one.get(name) != other.get(name)]
    return "; ".join(
        f"{_CALLED.get(name, name)} ({one.get(name)} there, {other.get(name)} here)"
        for name in names
    )


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, "" if name == "plan" else f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
