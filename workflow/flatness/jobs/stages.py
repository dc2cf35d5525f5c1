"""The code that each stage's results depend on, as short hashes that rules pass as parameters.

Found from the stage's script and what it imports. Only what a script imports by a name in the
settings, such as a network, is named here.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from flatness import figures
from flatness.experiment import datasets, networks
from flatness.jobs.fingerprint import fingerprint, reached
from flatness.jobs.own_code import own_code
from flatness.jobs.same_results import known_as
from flatness.publication.paper import papers_settings

SCRIPTS = Path(__file__).parents[2] / "scripts"
_TEMPLATE = SCRIPTS.with_name("report") / "reproduction.md"


def script_code(script: str) -> str:
    """The code of a script that chooses nothing by name.

    Args:
        script: its name without the ending, which is that of its rule.
    """
    return fingerprint(SCRIPTS / f"{script}.py")


def preparing_code(dataset: Mapping[str, Any]) -> str:
    """The code that prepares one dataset."""
    name = dataset["source"]
    return _known("prepare_dataset", name, datasets.module_name(dataset)) + _own(dataset)


def training_code(network: Mapping[str, Any]) -> str:
    """The code that trains one network."""
    return _of_network("train_run", network)


def measuring_code(network: Mapping[str, Any]) -> str:
    """The code that measures one network."""
    return _of_network("measure_run", network)


def analysing_code(quantities: str | None) -> str:
    """The code that turns measurements into quantities and bounds.

    Args:
        quantities: the file with quantities of one's own, if there are any.
    """
    own = f"+{own_code(quantities)}" if quantities else ""
    return script_code("analyse_run") + own


def drawing_code(kind: str) -> str:
    """The code that draws figures of one kind."""
    return fingerprint(SCRIPTS / "draw_figure.py", figures.module_name(kind))


def publishing_code(kinds: Iterable[str]) -> str:
    """The code that makes a publication with figures of some kinds, and its pages' templates."""
    modules = map(figures.module_name, sorted(set(kinds)))
    code = fingerprint(SCRIPTS / "publish.py", *modules)
    return _digest(code + _TEMPLATE.read_text() + _templates_of_report())


def reporting_code() -> str:
    """The code that writes the report, and its page's templates."""
    return _digest(script_code("write_report") + _templates_of_report())


@cache
def papers_settings_digest() -> str:
    """What `config/config.yaml` says, but for comments, where a study is compared with it."""
    return _digest(json.dumps(papers_settings().published(), sort_keys=True))


def modules_that_count(script: str, *chosen: str) -> set[str]:
    """The modules of the package that the results of a script depend on.

    Args:
        script: its name without the ending.
        chosen: modules that it imports by a name in the settings.
    """
    return reached(SCRIPTS / f"{script}.py", *chosen)


def _of_network(script: str, network: Mapping[str, Any]) -> str:
    name = network["name"]
    modules = [] if name == networks.FACTORY else [networks.module_name(name)]
    return _known(script, name, *modules) + _own(network)


def _known(script: str, name: str, *modules: str) -> str:
    return known_as(f"{script} {name}", fingerprint(SCRIPTS / f"{script}.py", *modules))


def _own(entry: Mapping[str, Any]) -> str:
    """What follows the code of the package where an entry of the settings names a user's own."""
    return f"+{own_code(entry['factory'])}" if "factory" in entry else ""


def _templates_of_report() -> str:
    return "".join(file.read_text() for file in sorted(_TEMPLATE.parent.glob("report.*")))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
