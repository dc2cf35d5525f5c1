"""The registry of networks: one file, one function, one network.

A module `flatness/experiment/networks/NAME.py` holds a function `NAME`:

    def NAME(input_shape, outputs, *, option: Annotated[type, Field(...)] = default):
        ...
        return an nn.Module that maps (samples, *input_shape) to (samples, outputs)

Its keyword-only arguments become the options of `network:` in the
configuration, with the types, bounds and sentences given there. The modules
load torch inside the function, so that the configuration can be read, and
`snakemake -n` answered, without it.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any


def names() -> tuple[str, ...]:
    """The registered networks, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def module_name(name: str) -> str:
    """The dotted name of the module that defines the network `name`."""
    return f"{__name__}.{name}"


def constructor(name: str) -> Callable[..., Any]:
    """The function that builds the network `name`."""
    return getattr(importlib.import_module(module_name(name)), name)


def options(name: str) -> dict[str, inspect.Parameter]:
    """The keyword-only arguments of a network's function."""
    parameters = inspect.signature(constructor(name)).parameters
    return {
        key: parameter
        for key, parameter in parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def build(network: dict[str, Any], input_shape: tuple[int, ...], outputs: int, seed: int):
    """Build a network with initial weights that are a pure function of `seed`.

    Args:
        network: `name` and the network's options, as in the configuration.
        input_shape: shape of one input, without the sample axis.
        outputs: number of outputs N.
        seed: of the initialisation. The weights are always drawn on the CPU, so
            they are the same whatever the device; torch's generators are left as
            they were.

    Returns:
        The network, on the CPU, in float32.
    """
    import torch

    chosen = dict(network)
    function = constructor(chosen.pop("name"))
    # Whatever default device the caller has set.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        return function(input_shape, outputs, **chosen)
