"""Reading a configuration file more strictly than Snakemake does, and writing one."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from flatness.errors import SettingsError
from flatness.settings.keys import shown

# Snakemake would run the expressions of such a file as code.
_TEMPLATE = "__use_yte__"

_FLOAT = "tag:yaml.org,2002:float"
# With an exponent, a number needs neither a point nor a sign of the exponent.
_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
# YAML reads the first as octal, the second as minutes or hours in seconds.
_DOUBTFUL = re.compile(r"[-+]?0[0-7_]+|[-+]?\d[\d_]*(:\d+)+(\.[\d_]*)?")
# Below this, no two integers are the same float.
_EXACT = 2**53


class _Loader(yaml.SafeLoader):
    """YAML with numbers as everybody writes them, such as 1e-3."""


def _number_with_exponent(loader: _Loader, node: yaml.ScalarNode) -> int | float:
    if not _EXPONENT.fullmatch(node.value):
        return loader.construct_yaml_float(node)
    value = float(node.value)
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


class _Dumper(yaml.SafeDumper):
    """YAML with quotes around texts that `_Loader` would read as numbers."""


for _each in (_Loader, _Dumper):
    _each.add_implicit_resolver(
        _FLOAT, re.compile(rf"^(?:{_EXPONENT.pattern})$"), list("-+.0123456789")
    )
_Loader.add_constructor(_FLOAT, _number_with_exponent)


def check_file(path: str | Path) -> dict[str, Any]:
    """Refuse a file that is no plain mapping, or that says two things of one key.

    Returns:
        What it says.

    Raises:
        SettingsError: in one line, with the file and the place in it.
    """
    text = _text(path)
    content = _json(text)
    if content is None:
        content = _yaml(path, text)
    if not isinstance(content, dict):
        raise SettingsError(
            f"{path}: holds {'nothing' if content is None else f'a {type(content).__name__}'}. "
            "Allowed: a mapping of the keys in config/README.md. Begin with a copy of "
            "config/minimal.yaml."
        )
    if _TEMPLATE in content:
        raise SettingsError(
            f"{path}: {_TEMPLATE} makes it a template, which can run code. Allowed: plain YAML or "
            "JSON. Write the values out and remove the key."
        )
    return content


def as_yaml(mapping: dict[str, Any]) -> str:
    """A configuration as text that is read as the same one."""
    return yaml.dump(mapping, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def plain_value(text: str) -> Any:
    """The number or truth value that a text is in YAML, or else the text itself."""
    loader = _Loader("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))
    if tag.rpartition(":")[2] not in ("bool", "float", "int", "null"):
        return text
    return loader.construct_object(yaml.ScalarNode(tag, text))


def doubtful(text: str) -> int | float | None:
    """The number that YAML reads where people read another one or none, such as 8 for 010."""
    value = plain_value(text) if _DOUBTFUL.fullmatch(text) else None
    return None if isinstance(value, str) else value


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror}). Allowed: a YAML or JSON file. Run "
            "Snakemake in the repository's folder, or name a file with --configfile; targets stand "
            "before it."
        ) from None
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path}: byte {error.start} is no UTF-8. Allowed: YAML or JSON in UTF-8. Save it "
            "anew in this encoding."
        ) from None


def _json(text: str) -> Any:
    """What JSON says, or None where YAML is to be tried, which also finds repeated keys."""
    try:
        return json.loads(text, object_pairs_hook=_unrepeated)
    except (ValueError, RecursionError):
        return None


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def _yaml(path: str | Path, text: str) -> Any:
    try:
        loader = _Loader(text)
        document = loader.get_single_node()
        if document is None:
            return None
        for problem in _problems(document, "", set()):
            raise SettingsError(f"{path}: {problem}")
        return loader.construct_document(document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}"
        reason = _one_line(error.problem or error.context)
    except yaml.YAMLError as error:
        where, reason = "this", _one_line(error)
    except RecursionError:
        where, reason = "this", "nested too deeply"
    raise SettingsError(
        f"{path}: {where} is no plain YAML ({reason}). Allowed: YAML or JSON with numbers, texts, "
        "lists and mappings, indented with spaces. Correct it."
    )


def _problems(node: yaml.Node, path: str, seen: set[int]) -> Iterator[str]:
    """Keys that stand twice in one mapping, and values that PyYAML stumbles over.

    What has several names is looked at once.
    """
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for position, child in enumerate(node.value):
            yield from _problems(child, f"{path}[{position}]", seen)
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, child in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            below = f"{path}.{shown(name)}" if path else shown(name)
            line = key.start_mark.line + 1
            if name in first:
                yield (
                    f"{below} stands twice, in lines {first[name]} and {line}. Allowed: each key "
                    "once. Remove one of the two."
                )
            first[name] = line
            yield from _problems(key, below, seen)
            yield from _problems(child, below, seen)
    else:
        yield from _unreadable(node, path)


def _unreadable(node: yaml.ScalarNode, path: str) -> Iterator[str]:
    if node.style is None and (value := doubtful(node.value)) is not None:
        yield (
            f"{path} = {node.value} in line {node.start_mark.line + 1} is {value} in YAML. "
            "Allowed: numbers without leading zeros and colons, and texts in quotes. Write the "
            "number that is meant, or put it in quotes."
        )
        return
    try:
        _Loader("").construct_object(node)
    except yaml.YAMLError:
        raise
    except Exception as error:  # such as a date of month 13, in whatever way it fails
        yield (
            f"{path} in line {node.start_mark.line + 1} cannot be read ({_one_line(error)}). "
            "Allowed: numbers and texts. Put it in quotes, or change it."
        )


def _one_line(reason: object) -> str:
    return " ".join(str(reason).split())
