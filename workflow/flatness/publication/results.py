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

from flatness.analysis.learning_rates import in_mse
from flatness.analysis.seeds import settings_of
from flatness.glossary import annotate
from flatness.glossary.results import RESULTS
from flatness.publication.configuration import portable
from flatness.publication.costs import COSTS, Cost, as_variables
from flatness.settings import Run, Settings, runs_of_study, table_of_runs

# Attributes of a run's file that are variables of their own; what other attributes it has are
# together in `other_attributes`.
TEXTS = (
    *("settings", "dtype", "dataset", "dataset_checksum", "source", "commit", "training"),
    *("measuring", "analysis_commit", "device", "machine", "processor", "versions"),
    "excluded_because",
)
NUMBERS = ("diverged", "threads", "outputs")
_SETTINGS = {"learning_rate": float, "batch_size": int, "seed": int, "loss": object}
_COORDINATES = ("learning_rate_in_mse", "diverged", "part")
_ADDED = (
    *(*TEXTS, *NUMBERS, *_SETTINGS, *_COORDINATES, *COSTS),
    *("other_attributes", "checkpoint_count", "stage"),
)


def condense(
    runs: Sequence[xr.Dataset],
    settings: Settings,
    *,
    costs: Mapping[str, Mapping[str, Cost]] | None = None,
    parts: Mapping[str, int] | None = None,
) -> xr.DataTree:
    """Some or all runs of a configuration, in the order of its table of runs.

    Args:
        runs: as `flatness.analysis.analyse.analyse` gives them.
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
        ValueError: the runs of a study have not the same variables and checkpoints.
    """
    table = table_of_runs(settings)
    named = {run.attrs["run"]: run for run in runs}
    groups = {}
    for study in settings.studies:
        rows = [row for row in runs_of_study(table, study) if row.id in named]
        if rows:
            group = _measured([named[row.id] for row in rows])
            of_runs = _of_runs([named[row.id] for row in rows], parts or {})
            of_runs |= as_variables([(costs or {}).get(row.id, {}) for row in rows])
            added = annotate(xr.Dataset(of_runs), RESULTS)
            coordinates = ("stage", *_SETTINGS, *_COORDINATES)
            groups[study] = group.assign(added).set_coords(coordinates)
    configuration = json.dumps(portable(settings))
    root = xr.Dataset(attrs={"Conventions": "CF-1.11", "configuration": configuration})
    return xr.DataTree.from_dict({"/": root} | {f"/{name}": each for name, each in groups.items()})


def separate(results: xr.DataTree) -> dict[str, list[xr.Dataset]]:
    """The runs of `condense` by study, one Dataset each, as they were but for what is left out."""
    return {study: list(_runs(node)) for study, node in results.children.items()}


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
            raise ValueError(
                f"expected runs with equal variables and checkpoints, got {run.attrs['run']} and "
                f"{longest.attrs['run']}"
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


def _of_runs(runs: Sequence[xr.Dataset], parts: Mapping[str, int]) -> dict[str, tuple]:
    """Facts and settings, over run."""
    settings = [settings_of(run) for run in runs]
    facts = {name: [run.attrs[name] for run in runs] for name in TEXTS}
    others = [
        {name: value for name, value in run.attrs.items() if name not in {*TEXTS, *NUMBERS, "run"}}
        for run in runs
    ]
    facts["other_attributes"] = [json.dumps(each, default=lambda v: v.item()) for each in others]
    rates = [
        in_mse(each["learning_rate"], each["loss"], int(run.attrs["outputs"]))
        for run, each in zip(runs, settings, strict=True)
    ]
    variables = {name: np.array(values, dtype=object) for name, values in facts.items()}
    variables |= {name: np.array([int(run.attrs[name]) for run in runs]) for name in NUMBERS}
    variables |= {
        name: np.array([each[name] for each in settings], dtype=kind)
        for name, kind in _SETTINGS.items()
    }
    variables["learning_rate_in_mse"] = np.array(rates, dtype=float)
    variables["part"] = np.array([parts.get(run.attrs["run"], 1) for run in runs])
    variables["checkpoint_count"] = np.array([run.sizes["checkpoint"] for run in runs])
    return {name: ("run", values) for name, values in variables.items()}


def _runs(node: xr.DataTree) -> Iterator[xr.Dataset]:
    group = node.to_dataset(inherit=False)
    differing = json.loads(group.attrs["differing"])
    measured = group.drop_vars([name for name in _ADDED if name in group])
    for position, name in enumerate(group["run"].to_numpy()):
        facts = group[[*TEXTS, *NUMBERS, "other_attributes", "checkpoint_count"]].isel(run=position)
        count = int(facts["checkpoint_count"])
        run = measured.isel(run=position, checkpoint=slice(0, count)).drop_vars("run")
        run.attrs = {"run": str(name)}
        run.attrs |= {fact: str(facts[fact].item()) for fact in TEXTS}
        run.attrs |= {fact: int(facts[fact]) for fact in NUMBERS}
        run.attrs |= json.loads(facts["other_attributes"].item())
        for variable, attributes in differing.items():
            for key, values in attributes.items():
                if name in values:
                    run[variable].attrs[key] = values[name]
        yield run
