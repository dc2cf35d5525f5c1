"""Names that quantities had in earlier versions, whose files and configurations stay readable.

G is a squared norm, and says so as `input_gradient_sq_norm` does, which it is the mean of.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

TODAYS_NAMES = {
    "input_gradient_norm": "mean_input_gradient_sq_norm",
    "input_gradient_norm_standard_error": "mean_input_gradient_sq_norm_standard_error",
}

# Coordinates whose values name quantities, and attributes that do so as JSON.
_NAMING = ("quantity", "other_quantity")
_NAMING_ATTRIBUTES = ("only", "differing", "absent", "not_finite")


def todays_names(names: Iterable[Any]) -> list[Any]:
    """The names of today; what was not renamed, or is no name, stays."""
    return [TODAYS_NAMES.get(name, name) if isinstance(name, str) else name for name in names]


def with_todays_names(dataset: "xr.Dataset") -> "xr.Dataset":
    """A Dataset of an earlier version as one of today; itself, where it has no earlier name."""
    earlier = {name: new for name, new in TODAYS_NAMES.items() if name in dataset.variables}
    dataset = dataset.rename_vars(earlier) if earlier else dataset
    for coordinate in _NAMING:
        if coordinate in dataset.coords:
            dataset = _with_todays_values(dataset, coordinate)
    for key in _NAMING_ATTRIBUTES:
        text = dataset.attrs.get(key)
        if isinstance(text, str) and any(_quoted(name) in text for name in TODAYS_NAMES):
            for name, new in TODAYS_NAMES.items():
                text = text.replace(_quoted(name), _quoted(new))
            dataset = dataset.assign_attrs({key: text})
    return dataset


def _with_todays_values(dataset: "xr.Dataset", coordinate: str) -> "xr.Dataset":
    variable = dataset.variables[coordinate]
    found = variable.values.tolist()
    names = todays_names(found)
    if names == found:
        return dataset
    values = variable.values.astype(object)
    values[:] = names
    return dataset.assign_coords({coordinate: (variable.dims, values, variable.attrs)})


def _quoted(name: str) -> str:
    return f'"{name}"'
