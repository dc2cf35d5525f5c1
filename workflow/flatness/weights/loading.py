"""The weights of a file, given to a network: all of them, or none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from flatness.errors import StorageError
from flatness.weights.entries import is_averaged, is_plain, state_dicts
from flatness.weights.files import FORMATS, WeightsFile, read_weights_file
from flatness.weights.names import (
    Fit,
    below,
    contradictions,
    differences,
    fit,
    fitting_prefix,
    listed,
    nearest,
    other_kinds,
    same_values,
)
from flatness.weights.place import Place


@dataclass(frozen=True)
class Weights:
    """The state dicts of a file.

    Args:
        file: what it holds.
        entries: by the name of the entry, "" for the whole file, reduced to the names asked for.
        prefix: what those names begin with in the file, None where all were asked for.
        place: where the file was named, for messages.
    """

    file: WeightsFile
    entries: Mapping[str, Mapping[str, Tensor]]
    prefix: str | None
    place: Place


def read_weights(
    path: str, place: Place, entry: str | None = None, prefix: str | None = None
) -> Weights:
    """Read a file and find the state dicts in it.

    Args:
        path: of the file.
        place: where it was named, for messages.
        entry: the only one to take; None for all.
        prefix: take names that begin with it only, without it.

    Raises:
        StorageError: the file is absent or damaged, holds code or no state dict, or not the
            entry or prefix asked for.
    """
    file = read_weights_file(path, place)
    entries = state_dicts(file.content)
    if not entries:
        raise StorageError(
            f"{place.file} {path}: holds {_what(file.content)}. {FORMATS}. Save that alone."
        )
    if entry is not None:
        if entry not in entries:
            raise StorageError(
                f"{place.with_entry(entry)}: {path} has no such entry of tensors. Allowed: "
                f"{listed(filter(None, entries)) or 'none, it is a state dict itself'}. Choose "
                "one of these, or leave it out."
            )
        entries = {entry: entries[entry]}
    if prefix is not None:
        entries = {name: below(state, prefix) for name, state in entries.items()}
        entries = {name: state for name, state in entries.items() if state}
        if not entries:
            raise StorageError(
                f"{place.with_prefix(prefix)}: no name in {path} begins so. Allowed: what some of "
                "its names begin with. Correct it, or leave it out."
            )
    return Weights(file, entries, prefix, place)


def load_weights(network: nn.Module, weights: Weights) -> dict[str, object]:
    """Give a network its weights; every name and shape must agree.

    Args:
        network: already of the dtype in which it is measured, so that nothing is rounded twice.
        weights: from `read_weights`.

    Returns:
        Where they are from, for provenance: `file`, `sha256`, and where there is any the
        `entry`, the `prefix` asked for, the `shards` and `notes` of what was done so that they fit.

    Raises:
        StorageError: they do not fit, several entries do that differ, or they are complex.
    """
    entry, found = _chosen(network, weights)
    state = weights.entries[entry] if found is None else found.state
    path, place = weights.file.path, weights.place
    _refuse_complex(weights, state)
    torn = contradictions(network, state)
    if torn:
        raise StorageError(
            f"{place.file} {path}: has different values for {' and '.join(torn[:2])}, which are "
            f"one parameter in {place.network}. Allowed: equal values under all names "
            "of a tied parameter. Build the network without the tie, or choose other weights."
        )
    try:
        # Names may still fit, as a network may rename what it is given; kinds of numbers do not.
        if found is None and other_kinds(network.state_dict(), state):
            raise ValueError("the numbers are of another kind")
        network.load_state_dict(state)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise _refusal(network, weights, entry, error) from None
    about: dict[str, object] = {"file": path, "sha256": weights.file.sha256}
    if weights.file.shards:
        about["shards"] = dict(weights.file.shards)
    if entry:
        about["entry"] = entry
    if weights.prefix is not None:
        about["prefix"] = weights.prefix
    notes = list(found.notes) if found else []
    others = [name for name in weights.entries if name != entry and is_plain(name)]
    others += [name for name in weights.entries if name != entry and is_averaged(name)]
    if others:
        notes.append(f"not {listed(others)}, which {place.choice} chooses")
    if notes:
        about["notes"] = notes
    return about


def _chosen(network: nn.Module, weights: Weights) -> tuple[str, Fit | None]:
    """The entry to take, and how it fits: None where no entry does."""
    found = {name: fit(network, state) for name, state in weights.entries.items()}
    fitting = {name: way for name, way in found.items() if way is not None}
    if len(weights.entries) == 1:
        return next(iter(found.items()))
    for is_called in (is_plain, is_averaged):
        called = [name for name in fitting if is_called(name)]
        if called and all(_equal(fitting[called[0]], fitting[name]) for name in called[1:]):
            return called[0], fitting[called[0]]
        if called:
            break
    if fitting:
        raise StorageError(
            f"{weights.place.file} {weights.file.path}: {listed(fitting)} would fit"
            f"{'' if len(fitting) > 1 else ', but may be something else'}. Allowed: one of them. "
            f"Choose with {weights.place.choice}, such as "
            f"{weights.place.with_entry(next(iter(fitting)))}."
        )
    plain = [name for name in weights.entries if is_plain(name)]
    return [*plain, *weights.entries][0], None


def _equal(one: Fit, other: Fit) -> bool:
    return all(same_values(tensor, other.state[name]) for name, tensor in one.state.items())


def _refuse_complex(weights: Weights, state: Mapping[str, Tensor]) -> None:
    names = [name for name, tensor in state.items() if tensor.is_complex()]
    if names:  # loaded into real parameters they would lose their imaginary part
        raise StorageError(
            f"{weights.place.file} {weights.file.path}: holds complex numbers in "
            f"{listed(names)}. Allowed: real ones. Save torch.view_as_real(...) of them, for a "
            "network that holds real parameters."
        )


def _refusal(network: nn.Module, weights: Weights, entry: str, error: Exception) -> StorageError:
    state, place = weights.entries[entry], weights.place
    # A network may also refuse weights for a reason of its own.
    found = list(differences(network.state_dict(), nearest(network, state))) or [
        " ".join(str(error).split())
    ]
    prefix = fitting_prefix(network, state)
    where = f"entry {entry!r} of {weights.file.path}" if entry else weights.file.path
    advice = (
        f"Those whose names begin with {prefix!r} fit: add {place.with_prefix(prefix)}"
        if prefix
        else place.remedy
    )
    others = [name for name in weights.entries if name != entry]
    if re.search(r"-\d+-of-\d+\.\w+$", weights.file.path):
        advice = "It is one of several shards: give their *.index.json"
    elif others and not prefix:
        advice += f", or one of {listed(others)} with {place.choice}"
    return StorageError(
        f"{place.file} {where}: does not fit {place.network}: {'; '.join(found)}. "
        f"Allowed: the names and shapes of its state_dict(). {advice}."
    )


def _what(content: object) -> str:
    """What a file holds that holds no state dict."""
    if isinstance(content, Mapping):
        return listed(content) if content else "nothing"
    return f"a {type(content).__name__}"
