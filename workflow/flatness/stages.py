"""The code that each stage's results depend on, as short hashes.

Rules pass these as parameters. The modules are named in this file only, so that
what makes a stage stale can be read in one place.
"""

from collections.abc import Mapping
from typing import Any

from flatness.experiment import datasets, networks
from flatness.fingerprint import fingerprint


def preparing_code(dataset: Mapping[str, Any]) -> str:
    """The code that prepares one dataset."""
    return fingerprint("flatness.experiment.prepared", datasets.module_name(dataset))


def training_code(network: Mapping[str, Any]) -> str:
    """The code that trains one network."""
    return fingerprint("flatness.experiment.training", networks.module_name(network["name"]))


def measuring_code(network: Mapping[str, Any]) -> str:
    """The code that measures one network."""
    return fingerprint("flatness.measurement.run", networks.module_name(network["name"]))


def drawing_code() -> str:
    """The code that draws trend figures."""
    return fingerprint("flatness.figures.trends")
