"""The registry of networks: one file, one function, one network.

A module `flatness/experiment/networks/NAME.py` holds a function `NAME`:

    def NAME(input_shape, outputs, *, option: Annotated[type, Field(...)] = default):
        ...
        return an nn.Module that maps (samples, *input_shape) to (samples, outputs)

Its keyword-only arguments become the options of `network:` in the
configuration, with the types, bounds and sentences given there. The modules
load torch inside the function, so that the configuration can be read, and
`snakemake -n` answered, without it.

A network of one's own outside of the package is named by its place: `name` is then `FACTORY`, with
the keys `factory` and `arguments` (see `flatness.own`).
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from flatness.errors import MeasurementError, SettingsError
from flatness.own.places import find, naming_failures

FACTORY = "factory"
# Known to fit every dataset; others are tried before any job starts.
SHIPPED = frozenset({"mlp", "vgg10"})
_OPTION = '*, {}: Annotated[int, Field(description="In a sentence.")] = 1'


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
    """The keyword-only arguments of a network's function.

    Raises:
        SettingsError: the module fails, or an option lacks what the configuration needs of it.
    """
    what = f"{__path__[0]}/{name}.py"
    try:
        function = constructor(name)
    except Exception as error:
        raise SettingsError(
            f"{what}: importing {name!r} from it raised {type(error).__name__}: {error}. Allowed: "
            f"a module with a function {name!r} that returns the network. Correct it."
        ) from error
    first, second, *others = [*inspect.signature(function).parameters.values(), None, None]
    for parameter, needed in ((first, "input_shape"), (second, "outputs")):
        if parameter is None or parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            raise SettingsError(
                f"{what}: the function {name!r} has no argument {needed}. Allowed: {name}("
                f"input_shape, outputs, {_OPTION.format('option')}). Add it."
            )
    found = {parameter.name: parameter for parameter in others if parameter is not None}
    for option, parameter in found.items():
        problem = _problem(parameter)
        if problem:
            raise SettingsError(
                f"{what}: option {option!r} of the network {name!r} {problem}. Allowed: "
                f"{_OPTION.format(option)}. Write it so, with its type and bounds."
            )
    return found


def _problem(option: inspect.Parameter) -> str | None:
    """What keeps an argument from being a key of the configuration."""
    if option.kind is not inspect.Parameter.KEYWORD_ONLY:
        return "is not keyword-only"
    if option.annotation is inspect.Parameter.empty:
        return "has no annotation"
    described = [getattr(extra, "description", None) for extra in _extras(option.annotation)]
    return None if any(described) else "has no description"


def _extras(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__metadata__", ())


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
    name = chosen.pop("name")
    # Whatever default device the caller has set.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        if name == FACTORY:
            return _build_own(**chosen, input_shape=input_shape, outputs=outputs)
        return constructor(name)(input_shape, outputs, **chosen)


def _build_own(factory: str, arguments: Mapping[str, Any], **offered: Any):
    """The network that a place names; what is offered is passed where it has such an argument."""
    import torch

    what = f"network.factory = {factory!r}"
    network, _ = find(factory, what)
    if not isinstance(network, torch.nn.Module):
        with naming_failures(what, "calling it", "Call it", of_network=False):
            taken = inspect.signature(network).parameters
            network = network(**{k: v for k, v in offered.items() if k in taken} | dict(arguments))
    if not isinstance(network, torch.nn.Module):
        raise MeasurementError(
            f"{what}: returned an object of type {type(network).__name__}. Allowed: a "
            "torch.nn.Module. Return the network itself."
        )
    return network
