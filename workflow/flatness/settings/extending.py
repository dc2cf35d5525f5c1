"""Configurations that say only what differs from another one.

`extends: FILE` names that file, relative to the one that says so. Mappings are merged key by key;
everything else replaces what was there, and so does a mapping that makes another choice, such as
another `source` of a dataset or another network. `without: [studies, figures.fig3]` first removes
what the other file says at these places.
"""

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flatness.errors import SettingsError
from flatness.settings.captions import captions_of, captions_that_hold
from flatness.settings.command_line import as_written
from flatness.settings.keys import ANY_NAME, shown
from flatness.settings.reading import check_file

EXTENDS, WITHOUT = "extends", "without"

# Where a mapping makes a choice, by the keys that make it. What belongs to one choice, such as the
# width of one network, means nothing, or something else, beside another one.
_CHOICES = {
    ("datasets", ANY_NAME): ("source", "factory"),
    ("studies", ANY_NAME, "network"): ("name", "factory"),
    ("figures", ANY_NAME): ("kind",),
}


def read_configuration(
    files: Sequence[str | Path], given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What some files say, each with what it extends, and the command line.

    Args:
        files: of YAML or JSON; later ones are laid over earlier ones.
        given: what `--config` says, as Snakemake reads it, laid over all of them.

    Raises:
        SettingsError: in one line, with the file, or `--config`, and the place in it.
    """
    together: dict[str, Any] = {}
    for file in files:
        together = _merged(together, _resolved(_chain(file)))
    return _merged(together, as_written(given or {}))


def configuration_files(files: Sequence[str | Path]) -> list[str]:
    """The files that `read_configuration` reads, each once.

    Raises:
        SettingsError: as there.
    """
    return list(dict.fromkeys(str(each) for file in files for each, _ in _chain(file)))


def _chain(file: str | Path) -> list[tuple[str | Path, dict[str, Any]]]:
    """A file with what it says, then the one that it extends, and so on.

    Raises:
        SettingsError: one of them cannot be read, or they extend each other in a circle.
    """
    found = [(file, check_file(file))]
    while EXTENDS in (content := found[-1][1]):
        here, named = found[-1][0], content[EXTENDS]
        if not isinstance(named, str) or not named:
            raise SettingsError(
                f"{here}: extends = {named!r} is not allowed. Allowed: the name of one file, "
                "relative to this one. Change it."
            )
        base = Path(here).parent / os.path.expanduser(named)
        if any(base.resolve() == Path(known).resolve() for known, _ in found):
            raise SettingsError(
                f"{here}: extends = {named!r} leads back to a file that extends this one, or to "
                "itself. Allowed: a file that does not. Name another, or remove the key."
            )
        if not base.is_file():
            raise SettingsError(
                f"{here}: extends = {named!r} names no file ({base}). Allowed: a file of YAML or "
                "JSON, relative to this one. Correct the name."
            )
        found.append((base, check_file(base)))
    return found


def _resolved(files: list[tuple[str | Path, dict[str, Any]]]) -> dict[str, Any]:
    """What the first of the files of a chain says together with the others."""
    (file, content), *others = files
    content = dict(content)
    content.pop(EXTENDS, None)
    removed = content.pop(WITHOUT, [])
    if not others and removed:
        raise SettingsError(
            f"{file}: without = {removed!r} removes nothing, since the file extends no other. "
            "Allowed: beside `extends` only. Remove it, or add `extends`."
        )
    if not others:
        return content
    if not isinstance(removed, list):
        raise SettingsError(
            f"{file}: without = {removed!r} is not allowed. Allowed: a list of keys that "
            f"{others[0][0]} has, such as [studies, figures.fig1]. Change it."
        )
    base = _resolved(others)
    for place in removed:
        base = _removed(base, place, str(place).split("."), f"{file}: without", others[0][0])
    return _merged(base, content)


def _removed(
    mapping: Any, place: Any, path: Sequence[str], where: str, base: str | Path
) -> dict[str, Any]:
    """A mapping without what stands at one path in it."""
    first, *rest = path
    known = list(mapping) if isinstance(mapping, dict) else []
    if first not in known:
        near = difflib.get_close_matches(first, known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Correct or remove it."
        listed = ", ".join(shown(str(name)) for name in known) or "nothing"
        raise SettingsError(
            f"{where} = {str(place)!r} is not in {base}. Allowed in the place of {first!r}: "
            f"{listed}. {hint}"
        )
    if not rest:
        return {name: value for name, value in mapping.items() if name != first}
    return mapping | {first: _removed(mapping[first], place, rest, where, base)}


def _merged(base: dict[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """One configuration with another laid over it, and the captions that still hold."""
    merged = _laid_over(base, content, ())
    if not isinstance(merged.get("figures"), dict):
        return merged
    holding = {**captions_that_hold(merged, base), **captions_of(content)}
    return merged | {
        "figures": {
            name: {key: value for key, value in figure.items() if key != "caption"}
            if isinstance(figure, dict) and name not in holding
            else figure
            for name, figure in merged["figures"].items()
        }
    }


def _laid_over(below: Any, above: Any, path: tuple[str, ...]) -> Any:
    """One mapping merged with another, whose values count where both have some."""
    if not isinstance(below, dict) or not isinstance(above, Mapping):
        return above
    if any(key in above and above[key] != below.get(key) for key in _choice(path)):
        return dict(above)
    return below | {
        name: _laid_over(below[name], value, (*path, name)) if name in below else value
        for name, value in above.items()
    }


def _choice(path: tuple[str, ...]) -> tuple[str, ...]:
    """The keys with which a mapping at this path makes a choice."""
    for place, keys in _CHOICES.items():
        if len(place) == len(path) and all(
            one in (ANY_NAME, other) for one, other in zip(place, path, strict=True)
        ):
            return keys
    return ()
