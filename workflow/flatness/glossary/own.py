"""Quantities of a user's own in the glossary, known as long as this process runs.

They are registered where the user's file is imported, and where a file is read that holds them:
their variables carry everything that the glossary says. So whoever reads a publication knows them
without that file.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flatness.glossary import Term

if TYPE_CHECKING:
    import xarray as xr

# The attribute of a variable that says which file its quantity was registered by.
REGISTERED_BY = "registered_by"

_own: dict[str, Term] = {}


def own_terms() -> Mapping[str, Term]:
    """The rows of quantities of a user's own, by name."""
    return _own


def register(name: str, term: Term) -> None:
    """Put a row into the glossary, in the place of one of the user's own of that name."""
    # Here, since every job reads files and few have to know of quantities.
    from flatness.glossary.quantities import QUANTITIES

    _own[name] = QUANTITIES[name] = term


def adopt(dataset: "xr.Dataset") -> None:
    """Register the quantities of a user's own that a Dataset holds.

    Names that the package has itself stay what they are.
    """
    for name, variable in dataset.data_vars.items():
        attributes = variable.attrs
        if REGISTERED_BY in attributes and not _is_the_packages(str(name)):
            register(
                str(name),
                Term(
                    symbol=str(attributes.get("symbol", "")),
                    long_name=str(attributes.get("long_name", name)),
                    formula=str(attributes.get("formula", "")),
                    units=str(attributes.get("units", "1")),
                ),
            )


def _is_the_packages(name: str) -> bool:
    from flatness.glossary.quantities import QUANTITIES

    return name in QUANTITIES and name not in _own
