"""The network that a user's own code builds.

Whatever that code raises ends as one line that names it: the mistake is the user's to
find, and a traceback through this package would not help.
"""

import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from flatness.errors import FlatnessError, MeasurementError, SettingsError
from flatness.measurement.checks import AS_REAL, hint
from flatness.measurement.selection import selected
from flatness.measurement.unwrapped import unwrapped

_FORMS = "package.module:function or path/to/file.py:function"


@dataclass(frozen=True)
class Factory:
    """What makes the network.

    Args:
        place: what the user calls it.
        made_by: a function, class or method that returns the network, or the network itself.
        file: of the module in which it was found.
    """

    place: str
    made_by: Callable[..., Any] | nn.Module
    file: str | None


def find_factory(place: str, seed: int) -> Factory:
    """Import what makes the network.

    Args:
        place: "package.module:NAME" or "path/to/file.py:NAME", with NAME that of a function, of a
            class, of a method such as Net.from_pretrained, or of a network that is there once
            the file is imported. The file's folder is put at the head of the import path, as
            Python does with a script's.
        seed: of torch's generator while it is imported, as a network may be made there. The
            generator is then left as it was.

    Raises:
        SettingsError: there is no such file or function.
        MeasurementError: its module fails when it is imported.
    """
    source, _, name = place.rpartition(":")
    if not source or not name:
        raise SettingsError(f"FACTORY {place}. Allowed: {_FORMS}. Correct it.")
    if source.endswith(".py") and not os.path.isfile(source):  # False for any name
        raise SettingsError(f"FACTORY {place}: no file {source}. Allowed: {_FORMS}. Correct it.")
    with _seeded(seed), naming_failures(f"FACTORY {place}", "importing it", "Import it"):
        module = _from_file(Path(source)) if source.endswith(".py") else _from_name(source)
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part, None)
    if not callable(found):
        there = ", ".join(sorted(_functions(module))) or "none"
        raise SettingsError(
            f"FACTORY {place}: {source} has no function {name!r}. Allowed: a function that "
            f"returns the network; defined there: {there}. Name one of its functions."
        )
    return Factory(place, found, getattr(module, "__file__", None))


def build(factory: Factory, arguments: Mapping[str, Any], seed: int) -> nn.Module:
    """Call the factory, or take the network that it is.

    Args:
        factory: from `find_factory`.
        arguments: its keyword arguments.
        seed: of torch's generator while it runs, so that what the factory draws at random is
            the same whenever it is called. The generator is then left as it was.

    Raises:
        SettingsError: it is a network and takes no arguments.
        MeasurementError: it fails, or returns no module.
    """
    place, network = factory.place, factory.made_by
    if not isinstance(network, nn.Module):
        with _seeded(seed), naming_failures(f"FACTORY {place}", "calling it", "Call it"):
            network = network(**arguments)
    elif arguments:
        raise SettingsError(
            f"--arguments {json.dumps(arguments)}: FACTORY {place} is a network that is there "
            "already. Allowed: none. Leave them out, or name the function that makes it."
        )
    network = unwrapped(network)
    if not isinstance(network, nn.Module):
        raise MeasurementError(
            f"FACTORY {place}: returned an object of type {type(network).__name__}. Allowed: a "
            "torch.nn.Module. Return the network itself."
        )
    return network


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Give the generator a seed for a while, and make new tensors on the CPU."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        yield


@contextmanager
def naming_failures(what: str, doing: str, advice: str) -> Iterator[None]:
    """Turn what a user's code raises into one line.

    Args:
        what: whose code it is.
        doing: what is done with it, before "raised".
        advice: what the user can do to see where it fails.

    Raises:
        MeasurementError: in the place of any exception but those that have a line of their own;
            running out of memory stays what it is.
    """
    try:
        yield
    except (FlatnessError, torch.OutOfMemoryError):
        raise
    except (Exception, SystemExit) as error:
        lines = str(error).strip().splitlines()
        known = hint(error) if isinstance(error, Exception) else None
        raise MeasurementError(
            f"{what}: {doing} raised {type(error).__name__}: {lines[0] if lines else ''}. "
            + (
                known
                or f"Allowed: code that runs. {advice} yourself in Python to see where it fails."
            )
        ) from error


def check_layer(network: nn.Module, layer: str | None) -> None:
    """See whether the network has the module that is to be measured.

    Raises:
        SettingsError: it has not.
    """
    names = [name for name, _ in network.named_modules() if name]
    if layer is not None and layer not in names:
        raise SettingsError(
            f"--layer {layer}: no module of the network. Allowed: {', '.join(names) or 'none'}. "
            "Choose one of these, or leave it out."
        )


def check_real(network: nn.Module, place: str) -> None:
    """See that giving the network another dtype drops no imaginary part.

    Raises:
        MeasurementError: a parameter or buffer is complex.
    """
    kinds = {"parameter": network.named_parameters(), "buffer": network.named_buffers()}
    for kind, tensors in kinds.items():
        for name, tensor in tensors:
            if tensor.is_complex():
                raise MeasurementError(
                    f"the network of FACTORY {place}: {kind} {name!r} is {tensor.dtype}. {AS_REAL}"
                )


def try_out(
    network: nn.Module,
    inputs: Tensor,
    place: str,
    *,
    layer: str | None,
    entry: str | None,
    advice: str,
) -> None:
    """Call the network once, so that what does not fit it is known before measuring.

    Args:
        network: in eval mode.
        inputs: (samples, ...); the first two are taken.
        place: of its factory.
        layer: name of the module whose output is wanted; None for the network itself.
        entry: what is taken of that output, see `flatness.measurement.selection`.
        advice: what to do where the network fails, before "yourself in Python".

    Raises:
        MeasurementError: the network fails on them, or returns something else than (samples, N).
    """
    images = inputs[:2]
    what = f"the network of FACTORY {place}"
    module = network if layer is None else network.get_submodule(layer)
    returned: list[Any] = []
    handle = module.register_forward_hook(lambda _m, _a, output: returned.append(output))
    try:
        with (
            torch.random.fork_rng([images.device] if images.is_cuda else []),
            torch.no_grad(),
            naming_failures(what, f"calling it on inputs of shape {tuple(images.shape)}", advice),
        ):
            network(images)
    finally:
        handle.remove()
    if len(returned) == 1:
        selected(
            returned[0],
            entry,
            len(images),
            whose=what if layer is None else f"--layer {layer}",
            flatten=layer is not None,
            asked="--output-entry {}",
        )


def source_digest(factory: Factory) -> str:
    """SHA-256 of the file that defines the factory, or "unknown"."""
    try:
        file = factory.file
        if not isinstance(factory.made_by, nn.Module):
            file = inspect.getsourcefile(inspect.unwrap(factory.made_by))
        return hashlib.sha256(Path(file or "").read_bytes()).hexdigest()
    except (OSError, TypeError, ValueError):
        return "unknown"


def _from_file(file: Path) -> ModuleType:
    # A name of its own, so that a file called like a library does not take its place.
    name = f"_factory_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(file.resolve().parent))
    spec.loader.exec_module(module)
    return module


def _from_name(name: str) -> ModuleType:
    # `python -m` puts the current folder there; a console with safe paths does not.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(name)


def _functions(module: ModuleType) -> Iterator[str]:
    for name, value in vars(module).items():
        own = getattr(value, "__module__", None) == module.__name__
        if own and callable(value) and not name.startswith("_"):
            yield name
