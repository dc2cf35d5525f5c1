"""Analysed runs of all studies in one small file, and back.

Runs have different numbers of checkpoints, so these lie one behind the other along the dimension
`record`, `checkpoint_count` of them for each run: a contiguous ragged array, as the CF conventions
call it. What correlation tables and claims rest on comes back as it was, to the last bit; left out
are both sides of the inequalities (their slack stays) and the terms of single layers.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from flatness.glossary import annotate
from flatness.glossary.correlations import CORRELATIONS
from flatness.glossary.primitives import PRIMITIVES
from flatness.glossary.quantities import ANALYSIS, CONDENSED, QUANTITIES

# Facts of each run, by the attribute of its own file.
_TEXTS = (
    *("settings", "dtype", "dataset", "dataset_checksum", "source", "commit", "analysis_commit"),
    *("device", "machine", "processor", "versions", "excluded_because"),
)
_NUMBERS = ("diverged", "threads", "outputs")
_LEFT_OUT = ("log10_left", "log10_right", "tightest_sample")


def condense(studies: Mapping[str, Sequence[xr.Dataset]]) -> xr.Dataset:
    """The runs of some studies as one Dataset.

    Args:
        studies: by name, runs as `flatness.analysis.analyse.analyse` gives them; at least one.

    Returns:
        Quantities and curves over (record, sample_set) or (record), slack over (record,
        sample_set, inequality), and for each run its id, study, number of checkpoints and facts
        from its file. The attribute `absent` holds, as JSON by variable and run, why a quantity
        does not exist.
    """
    runs = [run for of_study in studies.values() for run in of_study]
    absent: dict[str, dict[str, str]] = {}
    parts = []
    for run in runs:
        of_layers = [name for name, variable in run.items() if "layer" in variable.dims]
        part = run.drop_vars([*_LEFT_OUT, *of_layers, "layer"], errors="ignore")
        for name, variable in part.items():
            if "absent" in variable.attrs:
                absent.setdefault(str(name), {})[run.attrs["run"]] = variable.attrs["absent"]
        parts.append(part.rename(checkpoint="record").drop_attrs())
    together = xr.concat(
        parts, "record", data_vars="all", coords="minimal", compat="equals", join="outer"
    )
    facts = {name: np.array([run.attrs[name] for run in runs], dtype=object) for name in _TEXTS}
    facts["study"] = np.array([name for name in studies for _ in studies[name]], dtype=object)
    facts |= {name: np.array([int(run.attrs[name]) for run in runs]) for name in _NUMBERS}
    counts = np.array([run.sizes["checkpoint"] for run in runs])
    together = together.assign(
        {name: ("run", values) for name, values in facts.items()}
        | {"checkpoint_count": ("run", counts, {"sample_dimension": "record"})}
    ).assign_coords(run=np.array([run.attrs["run"] for run in runs], dtype=object))
    together.attrs = {"Conventions": "CF-1.11", "absent": json.dumps(absent)}
    return annotate(together, PRIMITIVES | QUANTITIES | ANALYSIS | CORRELATIONS | CONDENSED)


def separate(condensed: xr.Dataset) -> dict[str, list[xr.Dataset]]:
    """The runs of `condense` by study, one Dataset each, in their order."""
    absent = json.loads(condensed.attrs["absent"])
    per_run = [*_TEXTS, *_NUMBERS, "study", "checkpoint_count"]
    curves = condensed.drop_vars([*per_run, "run"]).rename(record="checkpoint")
    studies: dict[str, list[xr.Dataset]] = {}
    start = 0
    for position, name in enumerate(condensed["run"].to_numpy()):
        end = start + int(condensed["checkpoint_count"][position])
        run = curves.isel(checkpoint=slice(start, end))
        run.attrs = {"run": name} | {
            fact: condensed[fact].to_numpy()[position] for fact in (*_TEXTS, *_NUMBERS)
        }
        for variable, reasons in absent.items():
            if name in reasons:
                run[variable].attrs["absent"] = reasons[name]
        studies.setdefault(condensed["study"].to_numpy()[position], []).append(run)
        start = end
    return studies
