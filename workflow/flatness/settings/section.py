"""What every part of the configuration is made of."""

import os
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_SEED = 2**31 - 1

# Names become parts of paths, with other words around them; a path's part has at most 255 bytes.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
MODULE_PATTERN = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$"
# Titles stand in pictures, pages and tables, where these characters mean something.
TITLE_PATTERN = r"^[^\x00-\x1f\x7f$\\\[\]{}<>|]+$"
FOLDER_PATTERN = r"^[^{}\x00-\x1f\x7f]+$"


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
