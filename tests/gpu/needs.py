"""The slices in the order of their worth, and what each needs beside the repository and torch."""

import importlib.util
from collections.abc import Iterable

_MEASURING = ("numpy", "scipy", "xarray", "netCDF4", "threadpoolctl", "safetensors", "pydantic")
_TRAINING = (*_MEASURING, "tqdm", "yaml", "pandas")
# By slice: modules. The digits of scikit-learn are what short runs are trained on.
MODULES = {
    "bits": (*_TRAINING, "sklearn", "PIL", "pytest", "hypothesis", "torchvision"),
    "rates": _TRAINING,
    "measuring": _TRAINING,
    "paper": (*_TRAINING, "sklearn", "PIL", "torchvision", "snakemake", "matplotlib", "jinja2"),
}
ORDER = tuple(MODULES)


def missing(slices: Iterable[str]) -> str:
    """Which modules are absent, by slice, in one sentence; empty if none is."""
    absent = {
        name: [each for each in ("torch", *MODULES[name]) if not importlib.util.find_spec(each)]
        for name in slices
    }
    return "; ".join(
        f"slice {name} lacks {', '.join(each)}" for name, each in absent.items() if each
    )
