"""State dicts within a checkpoint, by the names of their entries."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

# What training scripts and libraries call the weights that are trained ...
_PLAIN = frozenset(
    {
        "state_dict",
        "model_state_dict",
        "model_state",
        "model",
        "net",
        "network",
        "module",
        "net_state_dict",
        "network_state_dict",
        "weights",
        "params",
    }
)
# ... and an average of them over the training.
_AVERAGED = frozenset(
    {
        "ema",
        "model_ema",
        "ema_model",
        "ema_state_dict",
        "state_dict_ema",
        "params_ema",
        "model_ema_state_dict",
        "ema_model_state_dict",
        "model_state_dict_ema",
        "ema_weights",
    }
)
# Where the entries of a checkpoint lie at the deepest, as in `ema.module.state_dict`.
_DEPTH = 3


def state_dicts(content: Any) -> dict[str, Mapping[str, Tensor]]:
    """Every state dict in what a file holds, by its entry.

    Args:
        content: of the file.

    Returns:
        By names of entries, with "." between those that lie within each other; "" is the
        content itself.
    """
    return dict(_found(content, ""))


def is_plain(entry: str) -> bool:
    """Whether an entry is called as the trained weights are."""
    return all(part in _PLAIN for part in entry.split(".")) or not entry


def is_averaged(entry: str) -> bool:
    """Whether an entry is called as an average of weights is."""
    parts = entry.split(".")
    return any(part in _AVERAGED for part in parts) and all(
        part in _AVERAGED | _PLAIN for part in parts
    )


def _found(value: Any, place: str, depth: int = 0) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        return
    if value and all(isinstance(inner, Tensor) for inner in value.values()):
        yield place, value
    elif depth < _DEPTH:
        for key, inner in value.items():
            yield from _found(inner, f"{place}.{key}" if place else key, depth + 1)
