"""Weights from files, without running code in them.

A pickle can run any code while it is read. PyTorch's own files are therefore read with
`weights_only=True`, which builds tensors and plain containers and refuses all else, and
safetensors cannot hold code.
"""

import hashlib
import io
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from flatness.errors import StorageError

# How many names a message lists of each kind.
_NAMED = 3

_FORMATS = (
    "Allowed: a .safetensors file, or a state dict of tensors as torch.save(model.state_dict(), "
    "FILE) writes it"
)


@dataclass(frozen=True)
class Weights:
    """A state dict and the file that it is from.

    Args:
        path: as the user gave it.
        sha256: of the file.
        state: tensors on the CPU, by name.
    """

    path: str
    sha256: str
    state: Mapping[str, Tensor]


def read_weights(path: str) -> Weights:
    """Read a state dict.

    Raises:
        StorageError: the file is absent or damaged, holds code, or no state dict.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise StorageError(
            f"--weights {path}: cannot be read ({error.strerror}). {_FORMATS}. Correct the name."
        ) from None
    state = _safetensors(path, content) if path.endswith(".safetensors") else _torch(path, content)
    complex_names = [name for name, tensor in state.items() if tensor.is_complex()]
    if complex_names:  # loaded into real parameters they would lose their imaginary part
        raise StorageError(
            f"--weights {path}: holds complex numbers in {_listed(complex_names)}. Allowed: real "
            "ones. Save torch.view_as_real(...) of them, for a network that holds real parameters."
        )
    return Weights(path, hashlib.sha256(content).hexdigest(), state)


def load_weights(network: nn.Module, weights: Weights, place: str) -> None:
    """Give a network its weights; every name and shape must agree.

    Args:
        network: already of the dtype in which it is measured, so that nothing is rounded twice.
        weights: from `read_weights`.
        place: the factory of the network, for messages.

    Raises:
        StorageError: they do not fit.
    """
    try:
        network.load_state_dict(weights.state)
    except (RuntimeError, TypeError, ValueError) as error:
        # A network may also refuse weights for a reason of its own.
        found = list(_differences(network, weights.state)) or [" ".join(str(error).split())]
        raise StorageError(
            f"--weights {weights.path}: does not fit the network of FACTORY {place}: "
            f"{'; '.join(found)}. Allowed: the names and shapes of its state_dict(). Choose a "
            "file, or --arguments, that belong together."
        ) from None


def _safetensors(path: str, content: bytes) -> Mapping[str, Tensor]:
    try:
        return safetensors.torch.load(content)
    except (SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise StorageError(
            f"--weights {path}: is no readable safetensors file ({_reason(error)}). "
            f"{_FORMATS}. Replace it with a sound copy."
        ) from None


def _torch(path: str, content: bytes) -> Mapping[str, Tensor]:
    try:
        # Its warnings are about formats that are refused with a line of their own.
        with warnings.catch_warnings(action="ignore"):
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise StorageError(
            f"--weights {path}: holds more than tensors{f' ({named[1]})' if named else ''}. It is "
            f"not read, because that could run code in it. {_FORMATS}. Save the state dict alone "
            "where the network was trained."
        ) from None
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError) as error:
        raise StorageError(
            f"--weights {path}: is no readable file of weights ({_reason(error)}). {_FORMATS}. "
            "Replace it with a sound copy."
        ) from None
    return _state_of(path, found)


def _state_of(path: str, found: Any) -> Mapping[str, Tensor]:
    """A state dict, and nothing around it."""
    if isinstance(found, Mapping):
        others = [key for key, value in found.items() if not isinstance(value, Tensor)]
        if found and not others:
            return found
        listed = _listed(found) if others else "nothing"
        nested = [key for key in others if isinstance(found[key], Mapping)]
        advice = f"Save its entry {str(nested[0])!r} alone" if nested else "Save that alone"
        raise StorageError(f"--weights {path}: holds {listed}. {_FORMATS}. {advice}.")
    raise StorageError(
        f"--weights {path}: holds a {type(found).__name__}. {_FORMATS}. Save that alone."
    )


def _differences(network: nn.Module, state: Mapping[str, Tensor]) -> Iterator[str]:
    """What names and shapes differ, the first few of each kind."""
    expected = network.state_dict()
    missing = [name for name in expected if name not in state]
    unexpected = sorted(name for name in state if name not in expected)
    shapes = [
        f"{name} {tuple(state[name].shape)} for {tuple(wanted.shape)}"
        for name, wanted in expected.items()
        if name in state
        and isinstance(wanted, Tensor)
        and not is_lazy(wanted)
        and wanted.shape != state[name].shape
    ]
    for kind, names in (("missing", missing), ("unexpected", unexpected), ("shape of", shapes)):
        if names:
            yield f"{kind} {_listed(names)}"
    if unexpected and all(name.startswith("module.") for name in state):
        yield "all names begin with 'module.', from DataParallel; remove that"


def _listed(names) -> str:
    names = [str(name) for name in names]
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _reason(error: Exception) -> str:
    """The first sentence of a message, or the kind of error where there is none."""
    return re.split(r"\.?\s*\n|\. ", str(error).strip())[0] or type(error).__name__
