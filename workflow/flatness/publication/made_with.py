"""Whether finished runs were made with a configuration, as far as their files say."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flatness.analysis.analysed_run import AnalysedRun
from flatness.errors import StorageError
from flatness.settings import Run, Settings, training_plan
from flatness.storage import read_dataset

# Where a machine keeps its images; their checksum is compared.
_PLACES = ("path",)


def check_run(file: Path, run: AnalysedRun, settings: Settings, row: Run) -> None:
    """Refuse a run that was trained, measured or analysed in another way.

    Args:
        file: the run's, named in the message.
        run: from it.
        settings: the whole configuration.
        row: the run's in the table of runs.

    Raises:
        StorageError: with the key and both values.
    """
    how, plan = json.loads(run.data.attrs["measuring"]), training_plan(settings, row)
    if plan["device"] == "auto":  # whatever the machine had
        del plan["device"]
    _compare(file, "trained", run.settings, plan)
    images = {"dataset": run.dataset, "outputs": run.outputs}
    outputs = settings.datasets[row.dataset].outputs
    _compare(file, "trained", images, {"dataset": row.dataset, "outputs": outputs})
    _compare(file, "measured", how, {"chunk_size": settings.measuring.chunk_size})
    _compare(file, "measured", _curvature(how.get("curvature")), _hessian(settings))
    powers = sorted({float(f"{power:g}") for power in settings.analysis.bound_powers})
    _compare(file, "analysed", {"bound_powers": _powers(run)}, {"bound_powers": powers})


def check_datasets(folder: Path, runs: Sequence[AnalysedRun], settings: Settings) -> None:
    """Refuse runs of other images than those of the configuration, and of each other.

    A prepared dataset that is not there any more proves nothing; the runs' checksums do.

    Args:
        folder: the study's.
        runs: all of them.
        settings: the whole configuration.

    Raises:
        StorageError: with both values.
    """
    checksums: dict[str, tuple[str, str]] = {}
    for name in dict.fromkeys(run.dataset for run in runs):
        file = folder / f"datasets/{name}.nc"
        if file.exists():
            prepared = read_dataset(file)
            checksums[name] = prepared.attrs.get("checksum", "none"), str(file)
            wanted = settings.datasets[name].identity()
            wanted = {key: value for key, value in wanted.items() if key not in _PLACES}
            _compare(file, "prepared", json.loads(prepared.attrs.get("settings", "{}")), wanted)
    for run in runs:
        name, found = run.id, run.data.attrs["dataset_checksum"]
        allowed, where = checksums.setdefault(run.dataset, (found, name))
        if found != allowed:
            raise StorageError(
                f"{folder}/analysis/{name}.nc: its dataset has the checksum {found}. Allowed: "
                f"{allowed}, as in {where}. Compute it anew with the same images."
            )


def _compare(file: Path, done: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key, value in json.loads(json.dumps(wanted)).items():
        if found.get(key) != value:
            raise StorageError(
                f"{file}: was {done} with {key} = {found.get(key)!r}. Allowed: {value!r}, as the "
                "configuration says. Name the configuration it was made with, or compute it anew."
            )


def _hessian(settings: Settings) -> dict[str, Any]:
    """How the trace of the Hessian is asked for; the rest of it is of no account without one."""
    measuring = settings.measuring
    if not measuring.hessian_trace:
        return {"hessian_trace": False}
    keys = ("hessian_trace", "hessian_probes", "hessian_exact_products")
    return {key: getattr(measuring, key) for key in keys}


def _curvature(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The same, from the options of `flatness.curvature` that a run has."""
    found = {f"hessian_{key}": value for key, value in (options or {}).items()}
    return {"hessian_trace": bool(found)} | found


def _powers(run: AnalysedRun) -> list[float]:
    """The powers k of Eq. 6 that were checked, as the names of inequalities have them."""
    names = map(str, run.data["inequality"].to_numpy())
    powers = (name.removeprefix("eq6_k").partition("_") for name in names if "eq6_k" in name)
    return sorted({float(power) for power, _, _ in powers})
