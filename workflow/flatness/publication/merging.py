"""Several files of results, from other machines or other seeds, as one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from flatness.errors import SettingsError, StorageError
from flatness.publication.configuration import LOCAL_IN_WORDS, without_seeds
from flatness.publication.costs import costs_of
from flatness.publication.opening import settings_of
from flatness.publication.results import condense, numbers_of_parts, separate
from flatness.settings import Settings, load_settings, table_of_runs


@dataclass(frozen=True)
class _Part:
    file: str
    results: xr.DataTree
    settings: Settings
    runs: Mapping[str, xr.Dataset]


def merge(files: Mapping[str, xr.DataTree]) -> xr.DataTree:
    """All runs of some files in one, whatever the order of the files.

    Each file is a part of its own, or as many as were merged into it; parts are numbered in the
    order of their first runs.

    Args:
        files: by the file's name, as `flatness.publication.opening.open_results` gives them; at
            least one.

    Raises:
        SettingsError: they have not the same settings but for seeds and local ones.
        StorageError: a dataset or a quantity is not the same in all of them, or a run is in two
            of them and differs.
    """
    parts = [
        _Part(
            file,
            results,
            settings_of(results),
            {run.attrs["run"]: run for study in separate(results).values() for run in study},
        )
        for file, results in files.items()
    ]
    first, *others = parts
    for part in others:
        _check_settings(first, part)
        _check_datasets(first, part)
        _check_variables(first, part)
    settings = _united([part.settings for part in parts])
    position = {name: place for place, name in enumerate(table_of_runs(settings))}
    parts.sort(key=lambda part: sorted(position[name] for name in part.runs))
    runs: dict[str, tuple[_Part, xr.Dataset]] = {}
    numbers: dict[tuple[str, int], int] = {}
    of_runs, costs = {}, {}
    for part in parts:
        inner, known = numbers_of_parts(part.results), costs_of(part.results)
        for name in sorted(part.runs, key=position.__getitem__):
            run = part.runs[name]
            if name in runs:
                _check_run(*runs[name], part, run)
                continue
            runs[name] = part, run
            costs[name] = known[name]
            of_runs[name] = numbers.setdefault((part.file, inner[name]), len(numbers) + 1)
    return condense([run for _, run in runs.values()], settings, costs=costs, parts=of_runs)


def _check_settings(one: _Part, other: _Part) -> None:
    allowed, found = (dict(_leaves(without_seeds(part.settings))) for part in (one, other))
    for key in {**allowed, **found}:
        if found.get(key) != allowed.get(key):
            raise SettingsError(
                f"{other.file}: {key} = {found.get(key, 'absent')}. Allowed: "
                f"{allowed.get(key, 'absent')}, as in {one.file}. Parts may differ in seeds, "
                f"{LOCAL_IN_WORDS} only; leave one of the two files out, or compute it anew."
            )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _check_datasets(one: _Part, other: _Part) -> None:
    allowed = {run.attrs["dataset"]: run for run in one.runs.values()}
    for name, run in other.runs.items():
        like = allowed.get(run.attrs["dataset"], run)
        if run.attrs["dataset_checksum"] != like.attrs["dataset_checksum"]:
            raise StorageError(
                f"{other.file}: the dataset {run.attrs['dataset']} of {name} has the checksum "
                f"{run.attrs['dataset_checksum']}. Allowed: {like.attrs['dataset_checksum']}, as "
                f"in {one.file}. Compute one of the two anew with the same images."
            )


def _check_variables(one: _Part, other: _Part) -> None:
    for study in set(one.results.children) & set(other.results.children):
        first, second = (part.results[study] for part in (one, other))
        names = sorted(set(first.variables) ^ set(second.variables))
        same = np.array_equal(first["inequality"], second["inequality"])
        if names or not same:
            raise StorageError(
                f"{other.file}: the runs of {study} were analysed by other code, what differs is "
                f"{', '.join(names) or 'inequality'}. Allowed: the variables of {one.file}. "
                "Analyse both with the same version; nothing needs to be trained anew."
            )


def _check_run(one: _Part, run: xr.Dataset, other: _Part, again: xr.Dataset) -> None:
    if run.identical(again):
        return
    what = [
        key for key in {**run.attrs, **again.attrs} if run.attrs.get(key) != again.attrs.get(key)
    ]
    what += [name for name in run.variables if not run[name].identical(again[name])]
    raise StorageError(
        f"{other.file}: its run {run.attrs['run']} differs from that in {one.file} in "
        f"{', '.join(map(str, what))}. Allowed: the same run, or none of that name. Leave one of "
        "the two files out, or make one of them anew without it."
    )


def _united(every: list[Settings]) -> Settings:
    """The settings of all parts, with the seeds of each in increasing order."""
    mapping = every[0].model_dump(mode="json", exclude_none=True)
    for name, study in mapping["studies"].items():
        study["seeds"] = sorted({seed for each in every for seed in each.studies[name].seeds})
    for name, figure in mapping["figures"].items():
        named = [getattr(getattr(each.figures, name), "seeds", None) for each in every]
        if None in named:
            figure.pop("seeds", None)
        else:
            figure["seeds"] = sorted({seed for seeds in named for seed in seeds})
    if any(each.device != every[0].device for each in every):
        mapping["device"] = "auto"
    return load_settings(mapping, "the merged configuration")
