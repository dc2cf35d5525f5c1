"""One name per quantity: in code, files, tables, axes and text.

`primitives` holds what is measured and stored, `quantities` what is computed
from that. They are apart so that a new quantity leaves measurements valid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the configuration names quantities, and is read without xarray
    import xarray as xr


@dataclass(frozen=True)
class Term:
    """One row of the glossary.

    Args:
        symbol: as on axes, in matplotlib's mathematics.
        long_name: in words.
        formula: in plain text, n samples, sigma_j the singular values of the input Jacobian.
        equation: where the paper defines it, or "".
        units: "1" for numbers without a unit.
    """

    symbol: str
    long_name: str
    formula: str
    equation: str = ""
    units: str = "1"


def annotate(dataset: "xr.Dataset", terms: Mapping[str, Term]) -> "xr.Dataset":
    """Give every variable and coordinate its attributes, in place.

    Raises:
        KeyError: a variable has no entry in `terms`.
    """
    for name, variable in dataset.variables.items():
        term = terms[str(name)]
        attributes = {"long_name": term.long_name, "formula": term.formula, "units": term.units}
        if term.equation:
            attributes["equation"] = term.equation
        variable.attrs = attributes | variable.attrs
    return dataset
