"""All keys of the configuration as a tree, for messages and for the reference table."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flatness.settings.model import Settings

ANY_NAME, ANY_INDEX = "NAME", "[]"


@dataclass
class Key:
    """One key: its declaration (None for a name or an index the user chooses) and what is below.

    `variants` holds the keys below a choice such as `source: digits`, by the
    value chosen; pydantic names that value in the place of an error too. `text` says whether any
    text may stand there.
    """

    info: FieldInfo | None = None
    text: bool = False
    children: dict[str, "Key"] = field(default_factory=dict)
    variants: dict[str, "Key"] = field(default_factory=dict)

    def rows(self, path: str = "") -> Iterator[tuple[str, FieldInfo]]:
        """Every key below this one with its path.

        What all variants have alike comes once, the rest with the variant's name.
        """
        for name, child in self.children.items():
            below = f"{path}[]" if name == ANY_INDEX else f"{path}.{name}" if path else name
            if child.info is not None:
                yield below, child.info
            yield from child.rows(below)
        if not self.variants:
            return
        first, *others = self.variants.values()
        alike = Key(
            children={
                name: child
                for name, child in first.children.items()
                if all(_same(child, other.children.get(name)) for other in others)
            }
        )
        yield from alike.rows(path)
        for name, variant in self.variants.items():
            own = {n: child for n, child in variant.children.items() if n not in alike.children}
            yield from Key(children=own).rows(f"{path}<{name}>")


@cache
def tree() -> Key:
    """The tree of all keys of `Settings`."""
    root = Key()
    _add_section(root, Settings)
    return root


def follow(location: tuple[int | str, ...]) -> tuple[str, Key]:
    """Where pydantic found a mistake.

    Returns:
        The key's path as a user writes it, and the last known key on it.
    """
    path, here = "", tree()
    for element in location:
        if isinstance(element, int) and ANY_INDEX in here.children:
            here = here.children[ANY_INDEX]
            path += f"[{element}]"
        elif element in here.variants:
            here = here.variants[element]
        elif element in here.children or ANY_NAME in here.children:
            here = here.children.get(element) or here.children[ANY_NAME]
            path += f".{shown(element)}" if path else shown(element)
        # Anything else names a member of a union of plain types, or an unknown key.
    return path, here


def takes_text(location: tuple[int | str, ...]) -> bool:
    """Whether any text may stand at a place, whatever is chosen on the way to it."""
    here = [tree()]
    for element in location:
        name = ANY_INDEX if isinstance(element, int) else element
        known = [each for key in here for each in (key, *key.variants.values())]
        here = [key.children[name] for key in known if name in key.children] or [
            key.children[ANY_NAME] for key in known if ANY_NAME in key.children
        ]
    return any(key.text for key in here)


def shown(name: str) -> str:
    """A key as a message shows it: in quotes if it is empty or holds unusual characters."""
    return name if re.fullmatch(r"[\w.+-]+", name) else repr(name)


def _same(one: Key, other: Key | None) -> bool:
    return other is not None and repr(one.info) == repr(other.info)


def _add_section(key: Key, section: type[BaseModel]) -> None:
    for name, info in section.model_fields.items():
        child = key.children[name] = Key(info=info)
        _add_type(child, info.annotation)


def _add_type(key: Key, kind: Any) -> None:
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        tag = _tag(kind)
        if tag is None:
            _add_section(key, kind)
        else:
            _add_section(key.variants.setdefault(tag, Key()), kind)
    elif kind is str:
        key.text = True
    elif origin is Annotated:
        _add_type(key, arguments[0])
    elif origin in (Union, UnionType):
        for member in arguments:
            _add_type(key, member)
    elif origin is dict:
        _add_type(key.children.setdefault(ANY_NAME, Key()), arguments[1])
    elif origin is tuple:
        _add_type(key.children.setdefault(ANY_INDEX, Key()), arguments[0])


def _tag(section: type[BaseModel]) -> str | None:
    """The value that chooses `section` in a tagged union: its one key with one literal."""
    for info in section.model_fields.values():
        if get_origin(info.annotation) is Literal and len(get_args(info.annotation)) == 1:
            return get_args(info.annotation)[0]
    return None
