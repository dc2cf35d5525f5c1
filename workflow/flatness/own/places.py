"""Finding what a place names, and one line for whatever the code there raises."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from flatness.errors import FlatnessError, MeasurementError, SettingsError

FORMS = "package.module:function or path/to/file.py:function"


def find(place: str, what: str, returns: str = "the network") -> tuple[Any, str | None]:
    """Import what a place names.

    Args:
        place: "package.module:NAME" or "path/to/file.py:NAME", with NAME that of something that
            can be called, dots in it included. The file's folder is put at the head of the import
            path, as Python does with a script's.
        what: how messages call it, such as "FACTORY my_file.py:build".
        returns: what it is to return, for messages.

    Returns:
        What was found, and the file of the module in which it was.

    Raises:
        SettingsError: there is no such file or function.
        MeasurementError: its module fails when it is imported.
    """
    source, _, name = place.rpartition(":")
    if not source or not name:
        raise SettingsError(f"{what}. Allowed: {FORMS}. Correct it.")
    with naming_failures(what, "importing it", "Import it"):
        module = import_module(source, what)
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part, None)
    if not callable(found):
        there = ", ".join(sorted(_functions(module))) or "none"
        raise SettingsError(
            f"{what}: {source} has no function {name!r}. Allowed: a function that returns "
            f"{returns}; defined there: {there}. Name one of its functions."
        )
    return found, getattr(module, "__file__", None)


def import_module(source: str, what: str) -> ModuleType:
    """Import a file or a module by its dotted name.

    Raises:
        SettingsError: there is no such file.
    """
    if not source.endswith(".py"):
        return _from_name(source)
    if not os.path.isfile(source):  # False for any name
        raise SettingsError(f"{what}: no file {source}. Allowed: {FORMS}. Correct it.")
    return _from_file(Path(source))


@contextmanager
def naming_failures(
    what: str, doing: str, advice: str, *, of_network: bool = True
) -> Iterator[None]:
    """Turn what a user's code raises into one line.

    Args:
        what: whose code it is.
        doing: what is done with it, before "raised".
        advice: what the user can do to see where it fails.
        of_network: whether advice about networks may help.

    Raises:
        MeasurementError: in the place of any exception but those that have a line of their own;
            running out of memory stays what it is.
    """
    try:
        yield
    except FlatnessError:
        raise
    except (Exception, SystemExit) as error:
        if type(error).__name__ == "OutOfMemoryError":  # of torch, which may not be loaded
            raise
        lines = str(error).strip().splitlines()
        raise MeasurementError(
            f"{what}: {doing} raised {type(error).__name__}: {lines[0] if lines else ''}. "
            + (
                (of_network and _hint(error))
                or f"Allowed: code that runs. {advice} yourself in Python to see where it fails."
            )
        ) from error


def _hint(error: BaseException) -> str | None:
    """What to do about an error that torch raises, where that is known."""
    if "torch" not in sys.modules or not isinstance(error, Exception):
        return None
    from flatness.measurement.checks import hint

    return hint(error)


def _from_file(file: Path) -> ModuleType:
    # A name of its own, so that a file called like a library does not take its place.
    name = f"_factory_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(file.resolve().parent))
    spec.loader.exec_module(module)
    return module


def _from_name(name: str) -> ModuleType:
    # `python -m` puts the current folder there; a console with safe paths does not.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(name)


def _functions(module: ModuleType) -> Iterator[str]:
    for name, value in vars(module).items():
        own = getattr(value, "__module__", None) == module.__name__
        if own and callable(value) and not name.startswith("_"):
            yield name
