"""One step of a check: what it will do, and what it found."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Found:
    """What a step found.

    Args:
        lines: in words, each with its place.
        differing: what is not as published, each with its place; nothing where all is the same.
        same: what is said of a step in which nothing differs.
    """

    lines: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    same: str = "as published"


@dataclass(frozen=True)
class Step:
    """One step of a check.

    Args:
        name: in a word or two.
        plan: what it will do.
        seconds: about how long it takes on one free core; None where nothing tells.
        make: does it.
    """

    name: str
    plan: str
    seconds: float | None
    make: Callable[[], Found] = field(repr=False)


def in_words(seconds: float | None) -> str:
    """About how long, without more digits than an estimate has."""
    if seconds is None:
        return "not known, the publication stores no times"
    if seconds < 1:
        return "less than 1 s"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
