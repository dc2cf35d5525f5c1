"""The network that a user's own code builds.

Whatever that code raises ends as one line that names it: the mistake is the user's to
find, and a traceback through this package would not help.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flatness.errors import MeasurementError, SettingsError
from flatness.measurement.checks import AS_REAL
from flatness.measurement.selection import selected
from flatness.measurement.unwrapped import unwrapped
from flatness.own.places import find, naming_failures


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
    with _seeded(seed):
        return Factory(place, *find(place, f"FACTORY {place}"))


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
) -> int | None:
    """Call the network once, so that what does not fit it is known before measuring.

    Args:
        network: in eval mode.
        inputs: (samples, ...); the first two are taken.
        place: of its factory.
        layer: name of the module whose output is wanted; None for the network itself.
        entry: what is taken of that output, see `flatness.measurement.selection`.
        advice: what to do where the network fails, before "yourself in Python".

    Returns:
        The number N of outputs; None where the layer is called more than once, or never.

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
    if len(returned) != 1:
        return None
    return selected(
        returned[0],
        entry,
        len(images),
        whose=what if layer is None else f"--layer {layer}",
        flatten=layer is not None,
        asked="--output-entry {}",
    ).shape[1]


def source_digest(factory: Factory) -> str:
    """SHA-256 of the file that defines the factory, or "unknown"."""
    try:
        file = factory.file
        if not isinstance(factory.made_by, nn.Module):
            file = inspect.getsourcefile(inspect.unwrap(factory.made_by))
        return hashlib.sha256(Path(file or "").read_bytes()).hexdigest()
    except (OSError, TypeError, ValueError):
        return "unknown"
