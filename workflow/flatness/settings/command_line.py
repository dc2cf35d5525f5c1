"""What `--config` says, as a configuration file would have said it.

Snakemake makes texts of all numbers and truth values below its first level.
"""

from collections.abc import Mapping
from typing import Any

from flatness.errors import SettingsError
from flatness.settings.keys import shown, takes_text
from flatness.settings.reading import doubtful, plain_value


def as_written(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `--config`, with numbers and truth values in the place of such texts.

    A key that takes texts keeps them.

    Args:
        given: as Snakemake reads it.

    Raises:
        SettingsError: a number can be read in two ways.
    """
    return _as_written(dict(given), ())


def _as_written(value: Any, path: tuple[str | int, ...]) -> Any:
    if isinstance(value, Mapping):
        return {name: _as_written(below, (*path, str(name))) for name, below in value.items()}
    if isinstance(value, list):
        return [_as_written(below, (*path, position)) for position, below in enumerate(value)]
    if not isinstance(value, str) or takes_text(path):
        return value
    if (other := doubtful(value)) is not None:
        raise SettingsError(
            f"--config {_written(path)} = {value} is {other} in YAML. Allowed: numbers without "
            "leading zeros and colons. Write the number that is meant."
        )
    return plain_value(value)


def _written(path: tuple[str | int, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{shown(part)}" for part in path)
    return "".join(parts).removeprefix(".")
