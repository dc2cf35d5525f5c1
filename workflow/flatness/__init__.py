"""Loss flatness and compressed representations of trained networks.

`flatness.measure(model, inputs)` returns the primitives of one network,
`flatness.quantities(primitives)` what the paper plots of them, `flatness.bounds(primitives)`
both sides of its inequalities, and `flatness.curvature(model, inputs, targets)` what the
trace of the loss Hessian adds to the sharpness. `flatness.measure_checkpoints` measures stored
checkpoints, a `flatness.Recorder` a network in the middle of its training, and
`flatness.plot` draws both. `flatness.open_results(path)` reads the runs of a
folder of results, or those that were published, and `@flatness.quantity` makes a function of
the primitives a quantity of one's own. These names are looked up on first use, so
that importing the package stays cheap: drawing a figure or reading a configuration never
loads torch.
"""

import importlib as _importlib
from typing import TYPE_CHECKING as _TYPE_CHECKING

if _TYPE_CHECKING:  # what type checkers and editors read; a test compares it with what is found
    from flatness import plot
    from flatness.analysis.bounds import bounds
    from flatness.analysis.quantities import quantities
    from flatness.measurement.curvature import curvature
    from flatness.measurement.measuring import measure
    from flatness.own.quantities import quantity
    from flatness.publication.opening import open_results
    from flatness.series.measure_checkpoints import measure_checkpoints
    from flatness.series.recorder import Recorder

__version__ = "0.2.0"

_PUBLIC = {
    "Recorder": "flatness.series.recorder",
    "bounds": "flatness.analysis.bounds",
    "curvature": "flatness.measurement.curvature",
    "measure": "flatness.measurement.measuring",
    "measure_checkpoints": "flatness.series.measure_checkpoints",
    "open_results": "flatness.publication.opening",
    "quantity": "flatness.own.quantities",
    "quantities": "flatness.analysis.quantities",
}

__all__ = [
    "Recorder",
    "__version__",
    "bounds",
    "curvature",
    "measure",
    "measure_checkpoints",
    "open_results",
    "plot",
    "quantities",
    "quantity",
]


def __getattr__(name: str):
    if name == "plot":
        return _importlib.import_module("flatness.plot")
    if name in _PUBLIC:
        return getattr(_importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'flatness' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
