"""The code that each stage's results depend on, as short hashes.

Rules pass these as parameters. The modules are named in this file only, so that
what makes a stage stale can be read in one place.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from flatness import figures
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


def analysing_code() -> str:
    """The code that turns measurements into quantities and bounds."""
    return fingerprint("flatness.analysis.analyse")


def correlating_code() -> str:
    """The code that makes correlation tables."""
    return fingerprint(
        "flatness.analysis.correlations",
        "flatness.tables.correlation_files",
        "flatness.tables.correlation_page",
    )


def judging_code() -> str:
    """The code that tests the claims."""
    return fingerprint(
        "flatness.tables.claim_files",
        "flatness.tables.sensitivity_table",
        "flatness.analysis.claims",
        "flatness.publication.deviations",
    )


def gathering_code() -> str:
    """The code that puts all analysed runs into one file."""
    return fingerprint("flatness.publication.gathering")


def describing_code() -> str:
    """The code that writes the report's first page."""
    return fingerprint("flatness.publication.overview")


def publishing_code(kinds: Iterable[str]) -> str:
    """The code that makes a publication with figures of some kinds."""
    modules = map(figures.module_name, sorted(set(kinds)))
    return fingerprint("flatness.publication.publish", *modules)


def drawing_code(kind: str) -> str:
    """The code that draws figures of one kind."""
    return fingerprint(
        figures.module_name(kind), "flatness.figures.page", "flatness.figures.saving"
    )
