"""Quantities of a user's own: functions of the primitives in one file.

import flatness

@flatness.quantity("ratio of the two largest singular values", "1/n sum_i sigma_i1 / sigma_i2")
def sigma_ratio(primitives):
    sigma = primitives["singular_value"]
    return (sigma.isel(mode=0) / sigma.isel(mode=1)).mean("sample")
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flatness.errors import MeasurementError, SettingsError
from flatness.glossary import Term
from flatness.glossary.earlier import TODAYS_NAMES
from flatness.glossary.own import REGISTERED_BY, own_terms, register
from flatness.glossary.primitives import PRIMITIVES
from flatness.glossary.quantities import ANALYSIS, QUANTITIES
from flatness.own.places import import_module, naming_failures

if TYPE_CHECKING:
    import xarray as xr

Quantity = Callable[["xr.Dataset"], "xr.DataArray"]

_DIMENSIONS = ("checkpoint", "sample_set")
_TERM = "_flatness_term"


def quantity(
    long_name: str, formula: str, *, symbol: str = "", unit: str = "1"
) -> Callable[[Quantity], Quantity]:
    """Make a function of the primitives a quantity, by the function's name.

    The function gets a Dataset as `flatness.measure` returns it, or that of a run with the
    dimensions checkpoint and sample_set besides, and takes means over the dimension `sample` alone;
    places without a sample are NaN.

    Args:
        long_name: in words, for axes and tables.
        formula: in plain text.
        symbol: as on axes, in matplotlib's mathematics.
        unit: "1" for numbers without a unit.
    """

    def registered(function: Quantity) -> Quantity:
        setattr(function, _TERM, Term(symbol, long_name, formula, units=unit))
        return function

    return registered


def load_quantities(file: str) -> dict[str, Quantity]:
    """Import a file, and put its quantities into the glossary.

    Args:
        file: "path/to/file.py", or the dotted name of a module.

    Returns:
        The functions by name, in the order of the file.

    Raises:
        SettingsError: there is no such file, it has no quantity, or one has an unusable name or
            lacks words.
        MeasurementError: it fails when it is imported.
    """
    what = f"quantities = {file!r}"
    with naming_failures(what, "importing it", "Import it"):
        module = import_module(file, what)
    found = {name: each for name, each in vars(module).items() if hasattr(each, _TERM)}
    if not found:
        raise SettingsError(
            f"{what}: has no quantity. Allowed: functions with @flatness.quantity(long_name, "
            "formula) above them. Add one, or leave the file out."
        )
    for problem in _problems(found):
        raise SettingsError(f"{what}: {problem}")
    for name, function in found.items():
        register(name, getattr(function, _TERM))
    return found


def own_quantities(
    functions: Mapping[str, Quantity], primitives: "xr.Dataset", file: str
) -> "dict[str, xr.DataArray]":
    """What a user's quantities are of some primitives, with their attributes.

    Args:
        functions: from `load_quantities`.
        primitives: see `quantity`.
        file: where the functions are, which the variables name.

    Raises:
        MeasurementError: a function fails, or returns something else than a number for each
            checkpoint and sample set.
    """
    values = {}
    for name, function in functions.items():
        what = f"quantities = {file!r}: {name}"
        with naming_failures(what, "calling it", "Call it", of_network=False):
            value = function(primitives)
        wanted = {d: primitives.sizes[d] for d in _DIMENSIONS if d in primitives.sizes}
        problem = _returned(value, wanted)
        if problem:
            raise MeasurementError(
                f"{what}: returned {problem}. Allowed: an xarray.DataArray of numbers with the "
                f"dimensions {', '.join(wanted) or 'none'}. Take means over sample, and sums over "
                "the other dimensions."
            )
        value = value.transpose(*wanted).astype(float).drop_vars(value.coords)
        term = getattr(function, _TERM)
        symbol = {"symbol": term.symbol} if term.symbol else {}
        values[name] = value.drop_attrs().assign_attrs({REGISTERED_BY: Path(file).name} | symbol)
    return values


def _problems(found: Mapping[str, Any]) -> Iterator[str]:
    taken = {*PRIMITIVES, *ANALYSIS, *QUANTITIES, *TODAYS_NAMES} - set(own_terms())
    for name, function in found.items():
        term = getattr(function, _TERM)
        if name != getattr(function, "__name__", name):
            yield f"{name!r} is the function {function.__name__!r}. Allowed: one name. Rename it."
        if name in taken:
            yield (
                f"the name {name!r} is one of the glossary's own. Allowed: another name. Rename it."
            )
        for word, text in (("long_name", term.long_name), ("formula", term.formula)):
            if not isinstance(text, str) or not text.strip():
                yield f"{name} has no {word}. Allowed: words. Say what it is."


def _returned(value: object, wanted: Mapping[str, int]) -> str | None:
    """What is wrong with what a function returned, if anything."""
    import xarray as xr

    if not isinstance(value, xr.DataArray):
        return f"an object of type {type(value).__name__}"
    if value.dtype.kind not in "fiub":
        return f"values of type {value.dtype}"
    if dict(value.sizes) != dict(wanted):
        sizes = ", ".join(f"{name}: {size}" for name, size in value.sizes.items())
        return f"the dimensions {sizes or 'none'}"
    return None
