"""From the mapping that Snakemake read to checked settings, or to one clear line."""

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from flatness.errors import SettingsError
from flatness.settings.keys import follow, shown
from flatness.settings.model import Settings

# What YAML calls what JSON calls otherwise.
_PLAIN = {"an object": "a mapping of keys", "a valid array": "a list"}


def load_settings(config: Mapping[str, Any], place: str) -> Settings:
    """Check a configuration and make it a frozen `Settings`.

    Args:
        config: the mapping read from YAML.
        place: the file or files it came from, named in messages.

    Raises:
        SettingsError: one line per mistake, each with place, key, value, what is
            allowed and what to do.
    """
    try:
        text = json.dumps(config)
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"{place}: holds a value that is no number, text, list or mapping ({error}). "
            "Allowed: the types named in config/README.md. Put dates and the like in quotes."
        ) from None
    try:
        # The JSON reader is strict about types and yet takes lists for tuples.
        return Settings.model_validate_json(text)
    except ValidationError as error:
        lines = [f"{place}: {line}" for line in _explanations(error.errors())]
        raise SettingsError("\n".join(lines)) from None


def _explanations(details: list[ErrorDetails]) -> list[str]:
    """One line for each key at fault.

    Where a key may be of several kinds, pydantic complains once for each kind. The
    complaint that goes deepest is about the kind that was meant; else they are joined.
    A list whose entries are at fault also counts as too short.
    """
    lines: dict[str, str] = {}
    for detail in details:
        path, _, _ = follow(detail["loc"])
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
    path, key, above = follow(detail["loc"])
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
        tag = context["discriminator"].strip("'")
        return f"{path}.{tag} is missing. Allowed: {', '.join(key.variants)}. Add it."
    if kind == "union_tag_invalid":
        tag = context["discriminator"].strip("'")
        return (
            f"{path}.{tag} = {context['tag']!r} is unknown. "
            f"Allowed: {context['expected_tags']}. Choose one of these."
        )
    if kind == "literal_error":
        return f"{path}{value} is unknown{meaning}. Allowed: {context['expected']}. Choose one."
    if kind == "string_pattern_mismatch" and above is not None:
        return (
            f"{path}{value} is no usable name. Allowed: letters, digits, - and _, beginning with "
            "a letter or digit. Rename it."
        )
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
        # YAML takes 1e-3 for text, because it has no point.
        advice = f"It is read as text; write {_number(given)}."
    return f"{path}{value} is not allowed{meaning}. Allowed: {allowed}. {advice}"


def _number(text: str) -> str | None:
    """What `text` would be as a YAML number, or None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return str(int(value)) if value.is_integer() else re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))
