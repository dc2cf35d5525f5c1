"""All that a publication is made of, in one netCDF file with a group for each study.

A study's runs differ in learning rate, batch size and seed; these are coordinates of the dimension
`run`, so that values are chosen by name. Runs that ended early are filled up, with NaN or, in
integers, -1. Every attribute of a run's own file is kept, as a variable over `run`. Left out is
what nothing is made of: terms of single layers, and which sample an inequality is tightest at.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
import xarray as xr

from flatness.analysis.analysed_run import AnalysedRun
from flatness.errors import StorageError
from flatness.glossary import annotate
from flatness.glossary.results import RESULTS
from flatness.publication.configuration import portable
from flatness.publication.costs import COSTS, Cost, as_variables
from flatness.settings import Run, Settings, runs_of_study, table_of_runs

# Attributes of a run's file that are variables of their own; what other attributes it has are
# together in `other_attributes`.
TEXTS = (
    "settings",
    "dtype",
    "dataset",
    "dataset_checksum",
    "source",
    "commit",
    "training",
    "measuring",
    "analysis_commit",
    "device",
    "machine",
    "processor",
    "versions",
    "excluded_because",
)
NUMBERS = ("diverged", "threads", "outputs")
_SETTINGS = {"learning_rate": float, "batch_size": int, "seed": int, "loss": object}
# Of a run's file, told by the places of things in a file of results.
_BY_PLACE = ("run", "study")
_COORDINATES = ("learning_rate_in_mse", "diverged", "part")
_ADDED = (
    *TEXTS,
    *NUMBERS,
    *_SETTINGS,
    *_COORDINATES,
    *COSTS,
    "other_attributes",
    "checkpoint_count",
    "stage",
)


def condense(
    runs: Sequence[AnalysedRun],
    settings: Settings,
    *,
    costs: Mapping[str, Mapping[str, Cost]] | None = None,
    parts: Mapping[str, int] | None = None,
) -> xr.DataTree:
    """Some or all runs of a configuration, in the order of its table of runs.

    Args:
        runs: whose ids the configuration has.
        settings: the configuration.
        costs: by run and stage.
        parts: by run, the number of the part that it comes from; all from part 1, if left out.

    Returns:
        A group for each study that has runs. Quantities are over (run, checkpoint, sample_set),
        curves over (run, checkpoint), sides and slack over (run, inequality, checkpoint,
        sample_set), costs over (run, stage), facts over (run). The attribute `configuration` of
        the root holds the settings but for local ones, as JSON. An attribute of a variable that
        is not the same for all runs, as why a quantity does not exist, is in the attribute
        `differing` of the group, as JSON by variable, attribute and run.

    Raises:
        StorageError: the runs of a study have not the same variables and checkpoints.
    """
    table = table_of_runs(settings)
    named = {run.id: run for run in runs}
    groups = {}
    for study in settings.studies:
        of_study = [named[row.id] for row in runs_of_study(table, study) if row.id in named]
        if of_study:
            groups[study] = together(of_study, costs=costs, parts=parts)
    configuration = json.dumps(portable(settings))
    root = xr.Dataset(attrs={"Conventions": "CF-1.11", "configuration": configuration})
    return xr.DataTree.from_dict({"/": root} | {f"/{name}": each for name, each in groups.items()})


def together(
    runs: Sequence[AnalysedRun],
    *,
    costs: Mapping[str, Mapping[str, Cost]] | None = None,
    parts: Mapping[str, int] | None = None,
) -> xr.Dataset:
    """The runs of one study in one Dataset, a group of `condense`.

    Args:
        runs: at least one, in the order in which they are to stand.
        costs: as there.
        parts: as there.

    Raises:
        StorageError: they have not the same variables and checkpoints.
    """
    of_runs = _of_runs(runs, parts or {})
    of_runs |= as_variables([(costs or {}).get(run.id, {}) for run in runs])
    added = annotate(xr.Dataset(of_runs), RESULTS)
    group = _measured([run.data for run in runs]).assign(added)
    return group.set_coords(("stage", *_SETTINGS, *_COORDINATES))


def separate(results: xr.DataTree) -> dict[str, list[AnalysedRun]]:
    """The runs of `condense` by study, as they were but for what is left out."""
    return {
        study: [AnalysedRun(run) for run in _runs(study, node)]
        for study, node in results.children.items()
    }


def every_run(results: xr.DataTree) -> list[AnalysedRun]:
    """The runs of `condense`, of all studies."""
    return list(chain.from_iterable(separate(results).values()))


def numbers_of_parts(results: xr.DataTree) -> dict[str, int]:
    """The number of the part that each run comes from."""
    return {
        name: int(part)
        for node in results.children.values()
        for name, part in zip(node["run"].to_numpy(), node["part"].to_numpy(), strict=True)
    }


def counts(results: xr.DataTree) -> dict[str, int]:
    """How many runs the file holds of each study."""
    return {study: node.sizes["run"] for study, node in results.children.items()}


def missing(results: xr.DataTree, settings: Settings) -> list[Run]:
    """Runs of the configuration that the file does not hold."""
    held = numbers_of_parts(results)
    return [run for run in table_of_runs(settings).values() if run.id not in held]


def _measured(runs: Sequence[xr.Dataset]) -> xr.Dataset:
    """What depends on the checkpoint, with the dimension run in front."""
    kept = [_kept(run) for run in runs]
    longest = max(kept, key=lambda run: run.sizes["checkpoint"])
    schedule = longest["iteration"].to_numpy()
    for run in kept:
        same = np.array_equal(run["iteration"], schedule[: run.sizes["checkpoint"]])
        if set(run.variables) != set(longest.variables) or not same:
            raise StorageError(
                f"{run.attrs['run']} has not the variables and checkpoints of "
                f"{longest.attrs['run']}. Allowed: runs of a study that one version analysed. "
                "Analyse both with the same version; nothing needs to be trained anew."
            )
    together = xr.concat(
        [_filled(run, longest.sizes["checkpoint"]) for run in kept],
        "run",
        data_vars="all",
        coords=["epoch"],
        compat="equals",
        join="exact",
    ).assign_coords(
        run=np.array([run.attrs["run"] for run in kept], dtype=object),
        iteration=("checkpoint", schedule),
    )
    differing = {}
    for name in longest.variables:
        attributes = [run[name].attrs for run in kept]
        shared, others = _shared(attributes)
        together[name].attrs = shared
        for key in others:
            differing.setdefault(str(name), {})[key] = {
                run.attrs["run"]: each[key]
                for run, each in zip(kept, attributes, strict=True)
                if key in each
            }
    together["run"].attrs = {"long_name": RESULTS["run"].long_name}
    together.attrs = {"differing": json.dumps(differing)}
    return together


def _kept(run: xr.Dataset) -> xr.Dataset:
    of_layers = [name for name, variable in run.variables.items() if "layer" in variable.dims]
    return run.drop_vars([*of_layers, "tightest_sample"], errors="ignore")


def _filled(run: xr.Dataset, checkpoints: int) -> xr.Dataset:
    """As many checkpoints as asked for, without attributes and the iteration, which all share."""
    bare = run.drop_vars("iteration").drop_attrs()
    unused = {name: -1 if v.dtype.kind == "i" else np.nan for name, v in bare.items()}
    return bare.pad(checkpoint=(0, checkpoints - run.sizes["checkpoint"]), constant_values=unused)


def _shared(attributes: Sequence[Mapping]) -> tuple[dict, list[str]]:
    """What all mappings have alike, and the other keys."""
    keys = dict.fromkeys(chain.from_iterable(attributes))
    shared = {
        key: attributes[0][key]
        for key in keys
        if all(key in each and each[key] == attributes[0][key] for each in attributes)
    }
    return shared, [key for key in keys if key not in shared]


def _of_runs(runs: Sequence[AnalysedRun], parts: Mapping[str, int]) -> dict[str, tuple]:
    """Facts and settings, over run."""
    attributes = [run.data.attrs for run in runs]
    facts = {name: [each[name] for each in attributes] for name in TEXTS}
    known = {*TEXTS, *NUMBERS, *_BY_PLACE}
    others = [
        {name: value for name, value in each.items() if name not in known} for each in attributes
    ]
    facts["other_attributes"] = [json.dumps(each, default=lambda v: v.item()) for each in others]
    variables = {name: np.array(values, dtype=object) for name, values in facts.items()}
    variables |= {name: np.array([int(each[name]) for each in attributes]) for name in NUMBERS}
    variables |= {
        name: np.array([getattr(run, name) for run in runs], dtype=kind)
        for name, kind in _SETTINGS.items()
    }
    rates = [run.learning_rate_in_mse for run in runs]
    variables["learning_rate_in_mse"] = np.array(rates, dtype=float)
    variables["part"] = np.array([parts.get(run.id, 1) for run in runs])
    variables["checkpoint_count"] = np.array([len(run.iteration) for run in runs])
    return {name: ("run", values) for name, values in variables.items()}


def _runs(study: str, node: xr.DataTree) -> Iterator[xr.Dataset]:
    group = node.to_dataset(inherit=False)
    differing = json.loads(group.attrs["differing"])
    measured = group.drop_vars([name for name in _ADDED if name in group])
    for position, name in enumerate(group["run"].to_numpy()):
        facts = group[[*TEXTS, *NUMBERS, "other_attributes", "checkpoint_count"]].isel(run=position)
        count = int(facts["checkpoint_count"])
        run = measured.isel(run=position, checkpoint=slice(0, count)).drop_vars("run")
        run.attrs = {"run": str(name), "study": study}
        run.attrs |= {fact: str(facts[fact].item()) for fact in TEXTS}
        run.attrs |= {fact: int(facts[fact]) for fact in NUMBERS}
        run.attrs |= json.loads(facts["other_attributes"].item())
        for variable, attributes in differing.items():
            for key, values in attributes.items():
                if name in values:
                    run[variable].attrs[key] = values[name]
        yield run
