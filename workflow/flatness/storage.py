"""Reading and writing files: atomic, checked, netCDF where data are for people.

A file appears under its final name whole or not at all, whatever kills the
writer; what cannot be read is named with what to do about it. Quantities of a user's own that a
file holds are then in the glossary, and those of files of earlier versions have the names of today.
"""

import hashlib
import json
import os
import shutil

# One process writes each file, so HDF5's locks protect nothing, and they fail on
# some network file systems. The variable is read when the HDF5 library loads.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from flatness.errors import StorageError
from flatness.glossary.earlier import with_todays_names
from flatness.glossary.own import adopt

# The attribute that lets a reader see a flipped bit: netCDF itself notices little but a lost end.
CHECKSUM = "content_sha256"

# Measurements of an MLP, 2.0 MB: 1.3 MB in 56 ms instead of 30, and read as fast. Levels 4 and 9
# save 1 and 2 % more in 61 and 120 ms; zstd saves less and not every netCDF library has it.
# Images, in integers, are left as they are: every job reads them, in 0.02 s instead of 0.22.
_COMPRESSED = {"zlib": True, "complevel": 1, "shuffle": True}


# What to do about a damaged file that the workflow made.
_ANEW = "Delete it and start again; it will be computed anew."


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block succeeds.

    The temporary file keeps the ending of `path`, so that writers which choose a
    format by it work; it is removed when the block fails.

    Raises:
        StorageError: the operating system refuses a write, as on a full disk.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())  # some writers make files only their owner can read
            _flush(temporary)
            os.replace(temporary, path)
            _flush(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror or error}). Allowed: a folder that you "
            "may write to, with room for the file. Make room or choose another folder, then "
            "start again; what is finished is kept."
        ) from error


def write_dataset(dataset: xr.Dataset, path: str | Path) -> None:
    """Write a netCDF-4 file atomically and read it back before it takes its name.

    The file has one attribute more than the Dataset, `content_sha256`: a checksum of names,
    dimensions, types, values and attributes.

    Raises:
        StorageError: what was written does not read back equal, as on a full disk.
    """
    write_tree(xr.DataTree(dataset), path)


def read_dataset(path: str | Path) -> xr.Dataset:
    """Read a whole netCDF file of `write_dataset` into memory, close it and verify its checksum.

    Raises:
        StorageError: the file is absent, damaged or written by something else.
    """
    with _opening(path):
        dataset = xr.load_dataset(path, engine="netcdf4")
    _verify(path, dataset.attrs.pop(CHECKSUM, "no checksum"), _checksum(dataset))
    adopt(dataset)
    return with_todays_names(dataset)


def write_tree(tree: xr.DataTree, path: str | Path) -> None:
    """As `write_dataset`, for a file with groups; the checksum at its root is that of all."""
    encoding = {
        node.path: {
            name: {"_FillValue": None} | (_COMPRESSED if _is_compressed(variable) else {})
            for name, variable in node.to_dataset(inherit=False).variables.items()
        }
        for node in tree.subtree
    }
    with atomic_path(path) as temporary:
        checked = tree.copy()
        checked.attrs = tree.attrs | {CHECKSUM: _checksum_of_tree(tree)}
        try:
            checked.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
        except RuntimeError as error:  # what the netCDF library makes of a full disk
            free = shutil.disk_usage(temporary.parent).free / 1e6
            raise OSError(f"{error}, with {free:.1f} MB free on that disk") from error
        try:
            read_tree(temporary)
        except StorageError as error:
            raise StorageError(
                f"{path}: what was written does not read back equal. "
                "Check the disk for space and errors, then start again."
            ) from error


def read_tree(path: str | Path, advice: str = _ANEW) -> xr.DataTree:
    """As `read_dataset`, for a file of `write_tree`, or one without groups.

    Args:
        path: of the file.
        advice: what to do about a file that is damaged.
    """
    with _opening(path, advice), xr.open_datatree(path, engine="netcdf4") as opened:
        tree = opened.load()
    _verify(path, tree.attrs.pop(CHECKSUM, "no checksum"), _checksum_of_tree(tree), advice)
    groups = {node.path: node.to_dataset(inherit=False) for node in tree.subtree}
    for group in groups.values():
        adopt(group)
    return xr.DataTree.from_dict({path: with_todays_names(each) for path, each in groups.items()})


@contextmanager
def _opening(path: str | Path, advice: str = _ANEW) -> Iterator[None]:
    """Say of a file that cannot be read what it is and what to do."""
    try:
        yield
    except FileNotFoundError:
        raise StorageError(f"{path}: no such file. Check the name, or compute it first.") from None
    except Exception as error:  # the netCDF library and xarray stumble over damage in many ways
        raise StorageError(
            f"{path}: is no readable netCDF file ({error}). It is not used. {advice}"
        ) from error


def _verify(path: str | Path, stated: str, found: str, advice: str = _ANEW) -> None:
    if stated != found:
        raise StorageError(
            f"{path}: is damaged or was changed, its contents have the checksum {found}. Allowed: "
            f"{stated}. It is not used. {advice}"
        )


def _checksum_of_tree(tree: xr.DataTree) -> str:
    """SHA-256 of what all groups say; that of the one Dataset where there are no groups."""
    found = {node.path: _checksum(node.to_dataset(inherit=False)) for node in tree.subtree}
    if len(found) == 1:
        return found["/"]
    return hashlib.sha256(_text(found)).hexdigest()


def _checksum(dataset: xr.Dataset) -> str:
    """SHA-256 of everything that a Dataset says, in an order of its own."""
    digest = hashlib.sha256(_text([sorted(dataset.coords), dataset.attrs]))
    for name in sorted(dataset.variables):
        variable = dataset.variables[name]
        values, text = variable.to_numpy(), variable.dtype.kind in "OU"
        kind = "text" if text else variable.dtype.str
        if not values.size:  # netCDF reads text of no entries back as numbers
            kind, values = "empty", b""
        digest.update(_text([name, variable.dims, variable.shape, kind, variable.attrs]))
        digest.update(_text(values.tolist()) if kind == "text" else np.ascontiguousarray(values))
    return digest.hexdigest()


def _text(value: Any) -> bytes:
    """JSON, in which numbers and lists of numpy are plain ones."""
    return json.dumps(value, sort_keys=True, default=lambda each: each.tolist()).encode()


def _is_compressed(variable: xr.Variable) -> bool:
    """Whether it holds many floating-point numbers; an index of the pieces takes 2 kB."""
    return variable.dtype.kind == "f" and variable.nbytes > 4096


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush(path: Path) -> None:
    """Make the kernel put a file or folder on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
