"""Whether weights fit a network, under their names or without what wrappers put before them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

# Put before the names by DataParallel, torch.compile, and Lightning or a class around a network.
PREFIXES = ("module.", "_orig_mod.", "model.")
# What counts operations or averages, beside the weights, and is no part of a network.
_COUNTERS = ("total_ops", "total_params", "n_averaged")
# It says how often statistics were updated in training, and changes nothing in eval mode.
_UPDATES = "num_batches_tracked"
# How many names a message lists of each kind.
_NAMED = 3


@dataclass(frozen=True)
class Fit:
    """Weights under the names that a network has for them.

    Args:
        state: by the network's names, all of them.
        notes: what was done so that they fit, for the page.
    """

    state: Mapping[str, Tensor]
    notes: tuple[str, ...]


def fit(network: nn.Module, state: Mapping[str, Tensor]) -> Fit | None:
    """Find the one way in which names and shapes agree.

    Prefixes are taken off, or put before, only where that alone makes every name fit. A tied
    parameter may be left out where its other name is there; so may counts of updates.

    Args:
        network: the network.
        state: weights of a file.

    Returns:
        None where they do not fit.
    """
    expected = network.state_dict()
    kept = _without_counters(state, expected)
    dropped = [name for name in state if name not in kept]
    notes = [f"{listed(dropped)} left out, as counters and no weights"] if dropped else []
    for names, what in _renamings(list(kept), list(expected)):
        tensors = {new: kept[old] for old, new in names.items()}
        filled, filling = _filled(tensors, expected)
        if not any(differences(expected, filled)):
            # As it was saved, with the versions of its modules, where nothing was changed.
            as_saved = filled.keys() == state.keys()
            return Fit(state if as_saved else filled, (*notes, *what, *filling))
    return None


def fitting_prefix(network: nn.Module, state: Mapping[str, Tensor]) -> str | None:
    """What the names of those weights begin with that would fit alone, if any."""
    prefixes = {
        f"{'.'.join(parts[:k])}."
        for parts in (name.split(".") for name in state)
        for k in (1, 2)
        if len(parts) > k
    }
    found = [p for p in sorted(prefixes) if fit(network, below(state, p)) is not None]
    return found[0] if found else None


def below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights whose names begin with a prefix, without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }


def nearest(network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The weights under the names that have most in common with the network's."""
    expected = network.state_dict()
    kept = _without_counters(state, expected)
    ways = [names for names, _ in _renamings(list(kept), list(expected))]
    best = max(ways, key=lambda names: sum(new in expected for new in names.values()))
    return _filled({new: kept[old] for old, new in best.items()}, expected)[0]


def differences(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[str]:
    """What names, shapes and kinds of numbers differ, the first few of each kind.

    Args:
        expected: the state dict of the network.
        state: what it is to be given.
    """
    missing = [name for name in expected if name not in state]
    unexpected = sorted(name for name in state if name not in expected)
    shapes = [
        f"{name} {tuple(found.shape)} for {tuple(wanted.shape)}"
        for name, found, wanted in _pairs(expected, state)
        if wanted.shape != found.shape
    ]
    for kind, names in (
        ("missing", missing),
        ("unexpected", unexpected),
        ("shape of", shapes),
        ("numbers of", other_kinds(expected, state)),
    ):
        if names:
            yield f"{kind} {listed(names)}"


def other_kinds(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """Weights whose numbers are of another kind, as integers for real numbers."""
    return [
        f"{name} {found.dtype} for {wanted.dtype}"
        for name, found, wanted in _pairs(expected, state)
        if wanted.shape == found.shape and _loses(found, wanted)
    ]


def contradictions(network: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Names of one tied parameter that would be given different values."""
    for names in _tied(network.state_dict()):
        there = [name for name in names if name in state]
        if any(not same_values(state[there[0]], state[name]) for name in there[1:]):
            return there
    return []


def same_values(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have equal shapes, types and values; not a number equals itself."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    equal = (one == other) | (one.isnan() & other.isnan())
    return bool(equal.all())


def listed(names: Collection) -> str:
    """The first few of some names."""
    names = [str(name) for name in names]
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _pairs(
    expected: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """What is found and wanted under each name that both have."""
    for name, wanted in expected.items():
        if name in state and isinstance(wanted, Tensor) and not is_lazy(wanted):
            yield name, state[name], wanted


def _without_counters(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    return {
        name: tensor
        for name, tensor in state.items()
        if name in expected or name.rpartition(".")[2] not in _COUNTERS
    }


def _renamings(
    found: list[str], expected: list[str]
) -> Iterator[tuple[dict[str, str], tuple[str, ...]]]:
    """Ways to name what was found as the network does, with what was done; the plain one first."""
    bare = [prefix for prefix, _ in _stripped(expected)]
    for inside in ("", "_orig_mod."):
        for prefix, names in _stripped(found):
            new = [name.replace(inside, "") if inside else name for name in names]
            if (inside and new == names) or len(set(new)) < len(new):
                continue
            for before in bare:
                if prefix and prefix == before:
                    continue
                notes = [f"{prefix!r} taken off all names"] if prefix else []
                notes += [f"{inside!r} taken out of names"] if inside else []
                notes += [f"{before!r} put before all names"] if before else []
                yield dict(zip(found, (before + name for name in new), strict=True)), tuple(notes)


def _stripped(names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The names as they are, and without each prefix that all of them have."""
    taken = ""
    while True:
        yield taken, names
        prefix = next((p for p in PREFIXES if names and all(n.startswith(p) for n in names)), None)
        if prefix is None:
            return
        taken, names = taken + prefix, [name.removeprefix(prefix) for name in names]


def _filled(
    state: dict[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """With tied weights under both names, and counts of updates as the network has them."""
    found = dict(state)
    notes = []
    for names in _tied(expected):
        there = next((name for name in names if name in state), None)
        absent = [name for name in names if name not in state]
        if there is not None:
            found |= dict.fromkeys(absent, state[there])
            notes += [f"{name} is {there}, to which it is tied" for name in absent]
    for name, tensor in expected.items():
        if name not in found and name.rpartition(".")[2] == _UPDATES:
            found[name] = tensor
    return found, tuple(notes)


def _tied(expected: Mapping[str, Tensor]) -> list[list[str]]:
    """Names of one and the same values, each list of two or more."""
    groups: dict[tuple, list[str]] = {}
    for name, tensor in expected.items():
        if isinstance(tensor, Tensor) and not is_lazy(tensor) and tensor.numel():
            if tensor.layout != torch.strided or tensor.is_meta:
                continue
            place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
            groups.setdefault(place, []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _loses(found: Tensor, wanted: Tensor) -> bool:
    """Whether the numbers are of another kind: rounded to integers, or cut to them."""
    if wanted.is_floating_point() or wanted.is_complex():
        return not (found.is_floating_point() or found.is_complex())
    if found.dtype == wanted.dtype or found.is_complex():
        return found.is_complex()
    return not torch.equal(found.to(wanted.dtype).to(found.dtype), found)
