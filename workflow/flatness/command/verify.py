"""`flatness verify`: measure finished runs again and compare."""

import json
import os
import random
from argparse import Namespace
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import xarray as xr

from flatness.checking.agreement import TOLERANCE, distance, largest, same_bits
from flatness.errors import SettingsError, VerificationError
from flatness.measurement.run import measure_run
from flatness.storage import read_dataset
from flatness.writable import obstacle

_PLACE = ("versions", "machine", "processor", "device", "threads")
_DIFFERS = "differs"


def verify(options: Namespace) -> str:
    """Measure a random share of the measured runs of a results folder again.

    Where versions, machine, device and threads are those of the recorded measurement, every
    variable must have the same bits; elsewhere values must agree to `TOLERANCE`.

    Args:
        options: `results`, `share` and `seed` of the command line.

    Returns:
        A line for each run.

    Raises:
        SettingsError: nothing is measured there, or the options are out of range.
        VerificationError: a run differs, and the message names all that do; or none of those
            drawn could be measured, because their checkpoints were not kept.
        StorageError: a file is damaged.
    """
    folder = Path(options.results)
    there = os.path.isdir(folder / "measurements")  # unlike glob, False for any name
    # What begins with a dot is the unfinished file of a job.
    measured = sorted((folder / "measurements").glob("[!.]*.nc")) if there else []
    if not measured:
        raise SettingsError(
            f"RESULTS {folder}: holds no measurements/*.nc. Allowed: RESULTS/NAME of a "
            "configuration, such as results/demo. Correct it, or run the workflow first."
        )
    if not 0 < options.share <= 1:
        raise SettingsError(f"--share {options.share}. Allowed: more than 0, at most 1. Change it.")
    problem = obstacle(folder)
    if problem:
        raise SettingsError(
            f"RESULTS {folder}: {problem}. Allowed: a folder that you may write to, since runs are "
            "measured in it once more (what that writes is deleted). Change its permissions, or "
            "copy it."
        )
    seed = random.SystemRandom().randrange(2**31) if options.seed is None else options.seed
    chosen = random.Random(seed).sample(measured, ceil(options.share * len(measured)))
    lines = [f"{len(chosen)} of {len(measured)} measured runs, drawn with --seed {seed}"]
    differing, verified = [], 0
    for path in sorted(chosen):
        found = _verified(folder, path)
        verified += bool(found)
        lines.append(f"{path.stem}: {found or 'not verified, its checkpoints were not kept'}")
        if found.startswith(_DIFFERS):
            differing.append(f"{path.stem} {found}")
    if differing:
        raise VerificationError(
            f"{folder}: measured again, {'; '.join(differing)}. Allowed: the same bits, or "
            f"{TOLERANCE:g} of the largest value on another machine or with other versions. "
            "Delete these files of measurements/ and start the workflow again; if they still "
            "differ, look for failing memory or disk."
        )
    if not verified:
        raise VerificationError(
            f"{folder}: nothing was verified, because the checkpoints of {_named(chosen)} were not "
            "kept. Allowed: runs that have all their checkpoints. Draw more with --share, or set "
            "training.keep_checkpoints to all and train again."
        )
    return "\n".join(lines) + "\n"


def _named(chosen: list[Path]) -> str:
    more = len(chosen) - 1
    return f"{sorted(chosen)[0].stem}{f' and {more} more' if more else ''}"


def _verified(folder: Path, path: Path) -> str:
    """What comparing one run says; empty if its checkpoints are gone."""
    checkpoints = folder / "runs" / path.stem / "checkpoints.safetensors"
    if not checkpoints.exists():
        return ""
    recorded = read_dataset(path)
    how = json.loads(recorded.attrs["measuring"])
    windows = recorded["window_end"].values
    with TemporaryDirectory(dir=folder, prefix=".verify-") as scratch:
        output = Path(scratch, path.name)
        measure_run(
            checkpoints,
            folder / "datasets" / f"{recorded.attrs['dataset']}.nc",
            output,
            dataset_name=recorded.attrs["dataset"],
            chunk_size=how["chunk_size"],
            layer=how["layer"],
            # A curve shorter than one window has none.
            minibatch_window=int(windows[0]) if len(windows) else 2**62,
            curvature_options=how["curvature"] or None,
            code=how["code"],
        )
        again = read_dataset(output)
    return _compared(recorded, again)


def _compared(recorded: xr.Dataset, again: xr.Dataset) -> str:
    names = dict.fromkeys([*recorded.variables, *again.variables])
    different = [name for name in names if not _same(recorded, again, name)]
    if not different:
        return f"all {len(names)} variables have the same bits"
    places = [name for name in _PLACE if recorded.attrs.get(name) != again.attrs[name]]
    worst = max(_distance(recorded, again, name) for name in different)
    if not places or worst > TOLERANCE:
        return f"{_DIFFERS} in {', '.join(different)}, by up to {worst:.1e} of the largest value"
    return f"agrees to {worst:.1e} of the largest value; other {', '.join(places)}"


def _same(recorded: xr.Dataset, again: xr.Dataset, name: str) -> bool:
    if name not in recorded.variables or name not in again.variables:
        return False
    return same_bits(recorded[name], again[name])


def _distance(recorded: xr.Dataset, again: xr.Dataset, name: str) -> float:
    """The largest difference, relative to the largest value; infinite where none is defined."""
    if name not in recorded.variables or name not in again.variables:
        return np.inf
    one, other = recorded[name].values, again[name].values
    return distance(one, other, largest(one)) if one.dtype.kind == "f" else np.inf
