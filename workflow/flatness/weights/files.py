"""Files of weights as people have them, read without running code in them.

A pickle can run any code while it is read. PyTorch's own files are therefore read with
`weights_only=True`, which builds tensors and plain containers and refuses all else, and
safetensors and the indices of shards cannot hold code. One class is read beside these, as many
training scripts save their options in it: `argparse.Namespace`, which only takes attributes. What
a file is, its content says: names such as `pytorch_model.bin` are given to either kind.
"""

import hashlib
import io
import json
import os
import pickle
import re
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.serialization import safe_globals

from flatness.errors import StorageError
from flatness.weights.place import Place

FORMATS = (
    "Allowed: safetensors, the *.index.json of shards, or a state dict of tensors as "
    "torch.save(model.state_dict(), FILE) writes it, alone or as an entry of a checkpoint"
)
# What the header of safetensors takes at most.
_LONGEST_HEADER = 100_000_000
# What a folder of saved weights holds, the best first.
_IN_FOLDERS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "weights.safetensors",
    "*.safetensors",
    "*.ckpt",
    "*.pth",
    "*.pt",
    "*.bin",
)
# The first bytes of a zip archive and of a pickle.
_BY_TORCH = (b"PK", b"\x80")
# The first bytes of files that are taken for weights by mistake, and what to do about them.
_OTHERS = (
    (b"version https://git-lfs", "a pointer of Git LFS. Fetch the file itself with `git lfs pull`"),
    (b"<", "a web page or XML. Download the file itself"),
    (b"\x1f\x8b", "compressed. Unpack it with gunzip"),
    (b"GGUF", "GGUF, which holds rounded numbers. Give the weights that it was made from"),
    (b"\x89HDF", "HDF5, as Keras writes it. Load it where it was made, and save a state dict"),
    (b"\x93NUMPY", "an array of NumPy. Save a state dict that holds it under its name"),
)


@dataclass(frozen=True)
class WeightsFile:
    """What a file holds.

    Args:
        path: as the user gave it.
        sha256: of the file.
        content: a state dict, or whatever was saved.
        shards: the SHA-256 of each file that the index names, by name; empty without an index.
    """

    path: str
    sha256: str
    content: Any
    shards: Mapping[str, str] = field(default_factory=dict)


def read_weights_file(path: str, place: Place) -> WeightsFile:
    """Read a file, or the shards that an index names.

    Args:
        path: of the file.
        place: where it was named, for messages.

    Raises:
        StorageError: it is absent or damaged, holds code, or is of no known kind.
    """
    content = _bytes(path, path, place)
    digest = hashlib.sha256(content).hexdigest()
    if content[:64].lstrip()[:1] == b"{" and not _is_safetensors(content):
        tensors, shards = _from_shards(path, content, place)
        return WeightsFile(path, digest, tensors, shards)
    return WeightsFile(path, digest, _parsed(path, content, place))


def _bytes(path: str, given: str, place: Place) -> bytes:
    """What a file holds: the one that was given, or a shard of it."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if path != given:
            raise StorageError(
                f"{place.file} {given}: its shard {path} cannot be read ({reason}). Allowed: an "
                "index with all its shards beside it. Put it there."
            ) from None
        raise StorageError(
            f"{place.file} {given}: cannot be read ({reason}). {FORMATS}. "
            f"{_advice_for_folder(path, place) or 'Correct the name'}."
        ) from None


def _advice_for_folder(path: str, place: Place) -> str | None:
    """Which file of a folder to give."""
    if not os.path.isdir(path):
        return None
    for pattern in _IN_FOLDERS:
        found = sorted(Path(path).glob(pattern))
        if len(found) == 1 or (found and "*" not in pattern):
            return f"It is a folder: give {place.file} {found[0]}"
    several = next(
        (pattern for pattern in _IN_FOLDERS if len(list(Path(path).glob(pattern))) > 1), None
    )
    if several is not None:
        return (
            f"It is a folder: give its checkpoints by a pattern, such as {place.file} "
            f"'{Path(path, several)}'"
        )
    return "It is a folder: give the file in it"


def _parsed(path: str, content: bytes, place: Place) -> Any:
    if _is_safetensors(content):
        return _safetensors(path, content, place)
    other = next((advice for start, advice in _OTHERS if content.startswith(start)), None)
    if other is not None:
        what, _, advice = other.partition(". ")
        raise StorageError(f"{place.file} {path}: is {what}. {FORMATS}. {advice}.")
    if path.endswith(".safetensors") and not content.startswith(_BY_TORCH):
        return _safetensors(path, content, place)
    return _by_torch(path, content, place)


def _is_safetensors(content: bytes) -> bool:
    """Whether it begins with the length of a JSON object, and that object."""
    return content[8:9] == b"{" and 2 <= int.from_bytes(content[:8], "little") <= _LONGEST_HEADER


def _is_exported(content: bytes) -> bool:
    """Whether it is what torch.export.save writes; only the list of its members is read."""
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except (zipfile.BadZipFile, ValueError, OSError):
        return False
    return any(name.endswith("/archive_format") for name in names)


def _safetensors(path: str, content: bytes, place: Place) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(content)
    except (SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise StorageError(
            f"{place.file} {path}: is no readable safetensors file ({_reason(error)}). "
            f"{FORMATS}. Replace it with a sound copy."
        ) from None


def _by_torch(path: str, content: bytes, place: Place) -> Any:
    try:
        # Its warnings are about formats that are refused with a line of their own.
        with warnings.catch_warnings(action="ignore"), safe_globals([Namespace]):
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise StorageError(
            f"{place.file} {path}: holds more than tensors{f' ({named[1]})' if named else ''}. "
            f"It is not read, because that could run code in it. {FORMATS}. Save the state dict "
            "alone where the network was trained, or if you trust the file: "
            f'torch.save(torch.load("{path}", weights_only=False)["state_dict"], "state.pt"), '
            "with the entry that it is in (of a whole module: .state_dict())."
        ) from None
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError) as error:
        if "TorchScript" in str(error):
            raise StorageError(
                f"{place.file} {path}: is a TorchScript archive, which holds code. {FORMATS}. If "
                f'you trust it, save torch.jit.load("{path}").state_dict() with torch.save.'
            ) from None
        if _is_exported(content):
            raise StorageError(
                f"{place.file} {path}: is an exported program, which holds code. {FORMATS}. If "
                f'you trust it, save torch.export.load("{path}").state_dict with torch.save.'
            ) from None
        raise StorageError(
            f"{place.file} {path}: is no readable file of weights ({_reason(error)}). {FORMATS}. "
            "Replace it with a sound copy."
        ) from None


def _from_shards(
    path: str, content: bytes, place: Place
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors that an index lists, and the SHA-256 of the files that hold them."""
    try:
        listed = json.loads(content).get("weight_map")
    except (ValueError, RecursionError) as error:
        raise StorageError(
            f"{place.file} {path}: is no readable JSON ({_reason(error)}). {FORMATS}. Replace it "
            "with a sound copy."
        ) from None
    if not isinstance(listed, dict) or not listed:
        raise StorageError(
            f"{place.file} {path}: is JSON without the `weight_map` of an index. {FORMATS}. "
            "Give the file that holds the weights."
        )
    digests: dict[str, str] = {}
    shards: dict[str, Mapping[str, Tensor]] = {}
    for name in dict.fromkeys(listed.values()):
        if not isinstance(name, str) or not name or Path(name).name != name:
            raise StorageError(
                f"{place.file} {path}: names the shard {name!r}. Allowed: names of files that lie "
                "beside the index. Correct the index."
            )
        file = str(Path(path).parent / name)
        shard = _bytes(file, path, place)
        digests[name] = hashlib.sha256(shard).hexdigest()
        found = _parsed(file, shard, place)
        shards[name] = found if isinstance(found, Mapping) else {}
    absent = [key for key, name in listed.items() if key not in shards[name]]
    if absent:
        raise StorageError(
            f"{place.file} {path}: {absent[0]} is not in {listed[absent[0]]}, where the index says "
            "it is. Allowed: an index and shards that were saved together. Replace them."
        )
    return {key: shards[name][key] for key, name in listed.items()}, digests


def _reason(error: Exception) -> str:
    """The first sentence of a message, or the kind of error where there is none."""
    return re.split(r"\.?\s*\n|\. ", str(error).strip())[0] or type(error).__name__
