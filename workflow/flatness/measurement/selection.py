"""One tensor (samples, N) out of whatever a network returns."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from flatness.errors import MeasurementError

# A name, an index, or a function of what was returned.
Choice = str | int | Callable[[Any], Tensor]

# The name that stands for all entries of one tensor.
FLATTEN = "flatten"
# What models call the entry that people mean, if they have several.
_USUAL = ("logits", "out", "output", "outputs", "prediction", "predictions", "last_hidden_state")
# How many entries a message lists.
_LISTED = 6
# What somebody's function of the output may raise.
_RAISED = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    AssertionError,
    ArithmeticError,
)


def selected(
    returned: Any,
    choice: Choice | None,
    samples: int,
    *,
    whose: str = "model",
    flatten: bool = False,
    asked: str = "output={!r}",
) -> Tensor:
    """The outputs of a network, one row for each sample.

    A vector of one number for each sample is one output.

    Args:
        returned: by the network, or by a module of it.
        choice: what is taken: the name of an entry of a mapping, a dataclass or a named tuple; an
            index into a tuple or along the second axis of a tensor; several of these joined by
            "."; "flatten" for all entries of one tensor; or a function of what was returned. What
            it gives is flattened. None for one tensor as it is.
        samples: how many the network was given.
        whose: it is, for messages.
        flatten: whether a tensor with more than two axes is flattened without being asked.
        asked: how the user gives a choice, with a place for it.

    Returns:
        (samples, N).

    Raises:
        MeasurementError: it is no such tensor, or there is no such entry; what was returned is
            named, and a choice that works.
    """
    found = returned if choice is None else _chosen(returned, choice, samples, whose, asked)
    if isinstance(found, Tensor) and found.numel():
        # A network that squeezes leaves no axis of a single sample.
        if found.ndim == 0 and samples == 1:
            return found.reshape(1, 1)
        if found.ndim and len(found) == samples:
            if found.ndim == 1:
                return found.unsqueeze(1)
            if found.ndim == 2:
                return found
            if flatten or choice is not None:
                return found.flatten(1)
    what = described(returned)
    if choice is not None:
        what += f", of which {_named(choice, asked)} gives {described(found)}"
    raise MeasurementError(
        f"{whose}: returned {what}, for {samples} samples. Allowed: one tensor of shape "
        f"({samples}, N). {_advice(returned, samples, asked)}"
    )


def described(value: Any) -> str:
    """What a value is: its shape, or its entries and theirs."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    entries = _entries(value)
    if not entries:
        return f"a {type(value).__name__}"
    listed = [f"{name!r} {_shape(entry)}" for name, entry in list(entries.items())[:_LISTED]]
    more = f" and {len(entries) - _LISTED} more" if len(entries) > _LISTED else ""
    return f"a {type(value).__name__} with {', '.join(listed)}{more}"


def choice_in_words(choice: Choice) -> str:
    """A choice as an attribute of the result: a function by its name."""
    if callable(choice):
        return getattr(choice, "__qualname__", type(choice).__name__)
    return str(choice)


def _chosen(returned: Any, choice: Choice, samples: int, whose: str, asked: str) -> Any:
    if callable(choice):
        try:
            return choice(returned)
        except _RAISED as error:
            reason = str(error).strip().splitlines()
            raise MeasurementError(
                f"output: the function raised {type(error).__name__}: "
                f"{reason[0] if reason else ''}, on {described(returned)}. Allowed: a function of "
                "what the network returns. Call it on that yourself to see where it fails."
            ) from error
    try:
        return _entry(returned, choice)
    except LookupError:
        raise MeasurementError(
            f"{asked.format(choice)}: {whose} returned {described(returned)}, for {samples} "
            f"samples. Allowed: one of its entries. {_advice(returned, samples, asked)}"
        ) from None


def _entry(value: Any, choice: str | int) -> Any:
    """The entry of a name or an index, or of a path of these.

    Raises:
        LookupError: there is none.
    """
    if isinstance(value, Tensor):
        if choice == FLATTEN:
            return value
        position = _as_index(choice)
        if position is not None and value.ndim > 1 and _within(position, value.shape[1]):
            return value[:, position]
        raise LookupError
    entries = _entries(value)
    if choice in entries:
        return entries[choice]
    position = _as_index(choice)
    if position is not None and _within(position, len(entries)):
        return list(entries.values())[position]
    first, dot, rest = choice.partition(".") if isinstance(choice, str) else ("", "", "")
    if not dot:
        raise LookupError
    return _entry(_entry(value, first), rest)


def _entries(value: Any) -> dict[Any, Any]:
    """What a container holds, by name or position; None is no entry."""
    if isinstance(value, Mapping):
        found = dict(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif isinstance(value, tuple) and hasattr(value, "_asdict"):
        found = value._asdict()
    elif isinstance(value, tuple | list):
        return dict(enumerate(value))
    elif hasattr(value, "__dict__") and not isinstance(value, Tensor | type) and vars(value):
        found = dict(vars(value))
    else:
        return {}
    return {name: entry for name, entry in found.items() if entry is not None}


def _as_index(choice: str | int) -> int | None:
    try:
        return int(choice)
    except ValueError:
        return None


def _within(position: int, length: int) -> bool:
    return -length <= position < length


def _shape(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def _named(choice: Choice, asked: str) -> str:
    return "the function of output" if callable(choice) else asked.format(choice)


def _advice(returned: Any, samples: int, asked: str) -> str:
    """A choice that works."""
    if isinstance(returned, Tensor):
        if returned.ndim > 2 and len(returned) == samples and returned.numel():
            size = returned[0].numel()
            return (
                f"Give {asked.format(FLATTEN)} for all {size} numbers of a sample, or "
                f"{asked.format(-1)} for those at the last position of the second axis."
            )
        return "Let the network keep the samples as the first axis of what it returns."
    works = _working(returned, samples)
    if works is None:
        return (
            "Wrap the network in one that returns such a tensor: none of the entries has the "
            "samples as its first axis."
        )
    return f"Give {asked.format(works)}."


def _working(returned: Any, samples: int) -> str | int | None:
    entries = _entries(returned)
    fitting = [name for name, entry in entries.items() if _fits(entry, samples)]
    usual = [name for name in _USUAL if name in fitting]
    if usual or fitting:
        return [*usual, *fitting][0]
    for name, entry in entries.items():
        if not isinstance(entry, Tensor) and (inner := _working(entry, samples)) is not None:
            return f"{name}.{inner}"
    return None


def _fits(entry: Any, samples: int) -> bool:
    return (
        isinstance(entry, Tensor)
        and entry.is_floating_point()
        and entry.ndim > 0
        and len(entry) == samples
        and entry.numel() > 0
    )
