"""Several files of results, from other machines or other seeds, as one."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from flatness.analysis.analysed_run import AnalysedRun
from flatness.errors import SettingsError, StorageError
from flatness.publication.configuration import LOCAL_IN_WORDS, without_seeds
from flatness.publication.costs import costs_of
from flatness.publication.filling import Layout, filled, fullest, layout, without_later
from flatness.publication.opening import settings_of
from flatness.publication.results import condense, every_run, numbers_of_parts
from flatness.settings import Settings, load_settings, table_of_runs

# What all runs of a study have alike, entry by entry.
_ALIKE = ("inequality", "sample_set", "iteration")


@dataclass(frozen=True)
class _Part:
    file: str
    results: xr.DataTree
    settings: Settings
    runs: Mapping[str, AnalysedRun]


def merge(files: Mapping[str, xr.DataTree]) -> xr.DataTree:
    """All runs of some files in one, whatever the order of the files.

    Each file is a part of its own, or as many as were merged into it; parts are numbered in the
    order of their first runs. Quantities and inequalities that came to the analysis later are NaN
    in the runs of a part that lacks them, where another part has them. Of a run that lies in
    several files the costs are those of one of them, always the same one.

    Args:
        files: by the file's name, as `flatness.publication.opening.read_results` gives them; at
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
            {run.id: run for run in every_run(results)},
        )
        for file, results in files.items()
    ]
    for part in parts[1:]:
        _check_settings(parts[0], part)
    _check_datasets(parts)
    _check_variables(parts)
    parts = _with_the_same_variables(parts)
    settings = _united([part.settings for part in parts])
    position = {name: place for place, name in enumerate(table_of_runs(settings))}
    parts.sort(key=lambda part: _place(part, position))
    runs: dict[str, tuple[_Part, AnalysedRun]] = {}
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


def _check_datasets(parts: list[_Part]) -> None:
    """One checksum for each dataset, in all runs of all parts."""
    first: dict[str, tuple[_Part, AnalysedRun]] = {}
    for part in parts:
        for name, run in part.runs.items():
            dataset, found = run.dataset, run.data.attrs["dataset_checksum"]
            earlier, like = first.setdefault(dataset, (part, run))
            allowed = like.data.attrs["dataset_checksum"]
            if found != allowed:
                where = like.id if earlier is part else earlier.file
                raise StorageError(
                    f"{part.file}: the dataset {dataset} of {name} has the checksum {found}. "
                    f"Allowed: {allowed}, as in {where}. Compute one of the two anew with the same "
                    "images."
                )


def _check_variables(parts: list[_Part]) -> None:
    """The same variables, inequalities and checkpoints in all parts of a study."""
    first: dict[str, _Part] = {}
    for part in parts:
        for study, node in part.results.children.items():
            earlier = first.setdefault(study, part)
            differing = _differing(earlier.results[study], node)
            if differing:
                raise StorageError(
                    f"{part.file}: the runs of {study} were analysed by other code, what differs "
                    f"is {', '.join(differing)}. Allowed: the variables of {earlier.file}. Analyse "
                    "both with the same version; nothing needs to be trained anew."
                )


def _with_the_same_variables(parts: list[_Part]) -> list[_Part]:
    layouts: dict[str, list[Layout]] = {}
    for part in parts:
        for study, node in part.results.children.items():
            layouts.setdefault(study, []).append(layout(node))
    wanted = {study: fullest(each) for study, each in layouts.items()}
    return [
        replace(
            part,
            runs={
                name: AnalysedRun(filled(run.data, wanted[run.study]))
                for name, run in part.runs.items()
            },
        )
        for part in parts
    ]


def _differing(one: xr.DataTree, other: xr.DataTree) -> list[str]:
    """Names of what keeps the runs of two files from lying in one study."""
    names = sorted(without_later(set(one.variables) ^ set(other.variables)))
    names += [n for n in one.variables if n in other.variables and one[n].dims != other[n].dims]
    # A file without a long run ends at an earlier checkpoint.
    shared = slice(min(each.sizes["checkpoint"] for each in (one, other)))
    pairs = {name: [each[name].to_numpy() for each in (one, other)] for name in _ALIKE}
    pairs["iteration"] = [each[shared] for each in pairs["iteration"]]
    pairs["inequality"] = [without_later(each) for each in pairs["inequality"]]
    return names or [name for name, pair in pairs.items() if not np.array_equal(*pair)]


def _place(part: _Part, position: Mapping[str, int]) -> tuple:
    """What parts are sorted by: their first runs, then, where they have the same, the rest."""
    names = sorted(part.runs, key=position.__getitem__)
    inner, costs = numbers_of_parts(part.results), costs_of(part.results)
    known = [
        (stage, [(bool(np.isnan(value)), 0 if np.isnan(value) else value) for value in cost])
        for name in names
        for stage, cost in sorted((s, astuple(each)) for s, each in costs[name].items())
    ]
    return [position[name] for name in names], [inner[name] for name in names], known


def _check_run(one: _Part, first: AnalysedRun, other: _Part, second: AnalysedRun) -> None:
    run, again = first.data, second.data
    if run.identical(again):
        return
    what = [
        key for key in {**run.attrs, **again.attrs} if run.attrs.get(key) != again.attrs.get(key)
    ]
    what += [name for name in run.variables if not run[name].identical(again[name])]
    raise StorageError(
        f"{other.file}: its run {first.id} differs from that in {one.file} in "
        f"{', '.join(map(str, what))}. Allowed: the same run, or none of that name. Leave one of "
        "the two files out, or make one of them anew without it."
    )


def _united(every: list[Settings]) -> Settings:
    """The settings of all parts, with the seeds of each in increasing order."""
    mapping = every[0].model_dump(mode="json", exclude_none=True)
    for name, study in mapping["studies"].items():
        study["seeds"] = sorted({seed for each in every for seed in each.studies[name].seeds})
    for name, figure in mapping["figures"].items():
        named = [getattr(each.figures[name], "seeds", None) for each in every]
        if None in named:
            figure.pop("seeds", None)
        else:
            figure["seeds"] = sorted({seed for seeds in named for seed in seeds})
    if any(each.device != every[0].device for each in every):
        mapping["device"] = "auto"
    return load_settings(mapping, "the merged configuration")
