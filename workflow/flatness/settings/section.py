"""What every part of the configuration is made of."""

import operator
import os
from functools import reduce
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from flatness.experiment.networks import FACTORY

MAX_SEED = 2**31 - 1

# Names become parts of paths, with other words around them; a path's part has at most 255 bytes.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
MODULE_PATTERN = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$"
# Titles stand in pictures, pages and tables, where these characters mean something.
TITLE_PATTERN = r"^[^\x00-\x1f\x7f$\\\[\]{}<>|]+$"
FOLDER_PATTERN = r"^[^{}\x00-\x1f\x7f]+$"
PLACE_PATTERN = r"^[^{}\x00-\x1f\x7f:]+:[A-Za-z0-9_.]+$"


class Section(BaseModel):
    """Base of every part: frozen, strict about types, refusing unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def key(sentence: str, unit: str | None = None, **constraints: Any) -> Any:
    """A configuration key: what it means, its unit, and pydantic's constraints."""
    extra = {"unit": unit} if unit else None
    return Field(description=sentence, json_schema_extra=extra, **constraints)


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Module = Annotated[str, Field(pattern=MODULE_PATTERN, max_length=100)]
# A leading ~ or ~USER is somebody's home, as in a shell, which does not see what is in a file.
Folder = Annotated[str, Field(pattern=FOLDER_PATTERN), AfterValidator(os.path.expanduser)]


# Of code of a user's own.
Place = Annotated[str, Field(pattern=PLACE_PATTERN), AfterValidator(os.path.expanduser)]


def one_of(tag: str, *sections: type[Section]) -> Any:
    """The type of a key that holds one of several sections, which one is said by the key `tag`.

    Where that is left out and there is the key `factory`, it is the section of this tag.
    """

    def said(given: Any) -> Any:
        if not isinstance(given, dict):  # a section, or a mistake, which any section refuses
            return getattr(given, tag, _tag(sections[0], tag))
        return given.get(tag, FACTORY if FACTORY in given else None)

    said.__name__ = tag  # as messages call it
    tagged = [Annotated[section, Tag(_tag(section, tag))] for section in sections]
    return Annotated[reduce(operator.or_, tagged), Discriminator(said)]


def _tag(section: type[Section], tag: str) -> str:
    return get_args(section.model_fields[tag].annotation)[0]


def without_repeats(values: tuple, kind: str = "") -> tuple:
    """The values of a list, if they differ.

    Args:
        values: of the list.
        kind: what stands before a value in a message, such as "seed ".

    Raises:
        ValueError: one stands there twice.
    """
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"has {kind}{value!r} twice. Remove one of the two")
    return values
