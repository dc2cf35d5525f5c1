"""From the mapping that Snakemake read to checked settings, or to one clear line."""

import difflib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from flatness.errors import FlatnessError, SettingsError
from flatness.own.quantities import load_quantities
from flatness.settings.earlier import in_todays_form
from flatness.settings.extending import read_configuration
from flatness.settings.keys import follow, shown
from flatness.settings.model import Settings
from flatness.settings.section import (
    FOLDER_PATTERN,
    MODULE_PATTERN,
    NAME_PATTERN,
    PLACE_PATTERN,
    TITLE_PATTERN,
)
from flatness.settings.studies import MISTAKES

# A mapping deeper than this is none of ours; pydantic reads 200 levels.
_DEEPEST = 50

_NAMES = {
    NAME_PATTERN: "letters, digits, - and _, at most 100, beginning with a letter or digit",
    MODULE_PATTERN: "names of letters, digits and _, with dots between them",
    TITLE_PATTERN: "words without line breaks and $ \\ [ ] { } < > |",
    PLACE_PATTERN: "path/to/file.py:function or package.module:function",
    FOLDER_PATTERN: "at least one character, no braces and no control characters",
}

# What YAML calls what JSON calls otherwise.
_PLAIN = {"an object": "a mapping of keys", "a valid array": "a list"}


def load_settings(config: Mapping[str, Any], place: str) -> Settings:
    """Check a configuration and make it a frozen `Settings`.

    Args:
        config: the mapping read from YAML, of the form of today or an earlier one.
        place: the file or files it came from, named in messages.

    Raises:
        SettingsError: one line per mistake, each with place, key, value, what is
            allowed and what to do.
    """
    for mistake in MISTAKES:
        raise SettingsError(mistake)
    for problem in _unusual(config, ""):
        raise SettingsError(f"{place}: {problem}")
    try:
        # The JSON reader is strict about types and yet takes lists for tuples.
        return Settings.model_validate_json(json.dumps(in_todays_form(config)))
    except ValidationError as error:
        lines = [f"{place}: {line}" for line in _explanations(error.errors())]
        raise SettingsError("\n".join(lines)) from None


def read_settings(path: str | Path) -> Settings:
    """Check a configuration file, with what it extends.

    Raises:
        SettingsError: one line per mistake.
    """
    config = read_configuration([path])
    register_own_quantities(config, str(path))
    return load_settings(config, str(path))


def register_own_quantities(config: Mapping[str, Any], place: str) -> None:
    """Put the user's own quantities into the glossary, before `load_settings`: figures name them.

    Args:
        config: as for `load_settings`.
        place: likewise.

    Raises:
        SettingsError: one line, of a file that is absent, fails, or has an unusable quantity.
    """
    if isinstance(config.get("quantities"), str):
        try:
            load_quantities(config["quantities"])
        except FlatnessError as error:
            raise SettingsError(f"{place}: {error}") from error


def _unusual(value: Any, path: str, depth: int = 0) -> Iterator[str]:
    """What JSON cannot say, which lists and mappings that hold themselves are, too."""
    if depth > _DEEPEST:
        yield (
            f"{path[:100]}... is nested too deeply. Allowed: at most {_DEEPEST} levels, as "
            "config/README.md has them. Remove some."
        )
    elif isinstance(value, Mapping):
        for name, below in value.items():
            full = f"{path}.{shown(str(name))}" if path else shown(str(name))
            if not _is_plain({name: None}):
                yield f"{full} is no usable key. Allowed: text. Put dates and the like in quotes."
            yield from _unusual(below, full, depth + 1)
    elif isinstance(value, list | tuple):
        for position, below in enumerate(value):
            yield from _unusual(below, f"{path}[{position}]", depth + 1)
    elif not _is_plain(value):
        yield (
            f"{path} is a {type(value).__name__} that JSON cannot hold. Allowed: numbers, texts, "
            "lists and mappings. Put dates and the like in quotes, or change it."
        )


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (TypeError, ValueError):  # another type; half a character; an integer of 4300 digits
        return False
    return True


def _explanations(details: list[ErrorDetails]) -> list[str]:
    """One line for each key at fault.

    Where a key may be of several kinds, pydantic complains once for each kind. The
    complaint that goes deepest is about the kind that was meant; else they are joined.
    A list whose entries are at fault also counts as too short.
    """
    lines: dict[str, str] = {}
    for detail in details:
        path, _ = follow(detail["loc"])
        inside = any(follow(other["loc"])[0].startswith(f"{path}[") for other in details)
        if inside and detail["type"] in ("literal_error", "too_short"):
            continue
        line = _explain(detail)
        key = line if detail["type"] == "extra_forbidden" else path
        if key in lines and line != lines[key]:
            before, _, after = lines[key].partition(" Allowed: ")
            kind = line.partition(" Allowed: ")[2].split(". ")[0]
            line = f"{before} Allowed: {kind}, or {after}"
        lines[key] = line
    return list(lines.values())


def _explain(detail: ErrorDetails) -> str:
    kind, context, given = detail["type"], detail.get("ctx", {}), detail["input"]
    path, key = follow(detail["loc"])
    value = "" if isinstance(given, dict | list) else f" = {given!r}"
    sentence = key.info.description.split(". ")[0].rstrip(".") if key.info else ""
    meaning = f" ({sentence})" if sentence else ""

    if kind == "extra_forbidden":
        unknown = str(detail["loc"][-1])
        near = difflib.get_close_matches(unknown, key.children, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Correct or remove it."
        full = f"{path}.{shown(unknown)}" if path else shown(unknown)
        return f"{full} is not a known key. Allowed here: {', '.join(key.children)}. {hint}"
    if kind == "missing":
        return f"{path} is missing{meaning}. Add it; config/README.md gives its type and bounds."
    if kind == "union_tag_not_found":
        tag = context["discriminator"].strip("'()")
        return f"{path}.{tag} is missing. Allowed: {_kinds(tag, key.variants)}. Add it."
    if kind == "union_tag_invalid":
        tag = context["discriminator"].strip("'()")
        known = context["expected_tags"].split(", ")
        return (
            f"{path}.{tag} = {context['tag']!r} is unknown. Allowed: {_kinds(tag, known)}. Choose "
            "one of these."
        )
    if kind == "literal_error":
        return f"{path}{value} is unknown{meaning}. Allowed: {context['expected']}. Choose one."
    if kind == "string_pattern_mismatch":
        return f"{path}{value} is no usable name. Allowed: {_NAMES[context['pattern']]}. Rename it."
    if kind == "too_short" and given:
        found = f"{len(given)} {'entry' if len(given) == 1 else 'entries'}"
        return (
            f"{path} has {found}{meaning}. Allowed: at least {context['min_length']} entries. "
            "Add more."
        )
    if kind == "too_short":
        return f"{path} is empty{meaning}. Allowed: at least one entry. Add one."
    if kind == "value_error":
        return f"{path} {context['error']}.".strip()
    allowed = detail["msg"].removeprefix("Input should be ")
    allowed = _PLAIN.get(allowed, allowed)
    advice = "Change it."
    if kind in ("float_type", "int_type") and isinstance(given, str) and _number(given) is not None:
        advice = f"It is a text; write {_number(given)}, without quotes."
    return f"{path}{value} is not allowed{meaning}. Allowed: {allowed}. {advice}"


def _kinds(tag: str, known: Collection[str]) -> str:
    """What a key may say that chooses among kinds: one's own have a place in place of a name."""
    names = [name for name in known if not (tag == "name" and name.strip("'") == "factory")]
    return ", ".join(names) + (" (or a `factory`)" if len(names) < len(known) else "")


def _number(text: str) -> str | None:
    """What `text` would be as a number, or None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return str(int(value)) if value.is_integer() else repr(value)
