"""Files of checkpoints, and the iterations that their names tell."""

import glob
import os
import re
from collections.abc import Sequence

from flatness.errors import StorageError

_NUMBER = re.compile(r"\d+")
_ALLOWED = "Allowed: names in which one number tells the iteration, such as epoch_10.pt"


def is_pattern(name: str) -> bool:
    """Whether a name stands for all files that it matches, as `run/epoch_*.pt` does."""
    return glob.has_magic(name) and not os.path.lexists(name)


def checkpoint_files(
    names: Sequence[str], place: str, after: str | None = None, how: str = "the text before it"
) -> dict[int, str]:
    """The files of a training's checkpoints in the order of their iterations.

    The iteration is the one number in which the names differ, wherever it stands in them and
    however many zeros it begins with: 500 of `run/checkpoint-500/model.safetensors`. Where names
    differ in several numbers, or in more than numbers, it is the number behind `after`.

    Args:
        names: of files, or patterns of them with `*`, `?`, `[...]` and, for any folders, `**`.
        place: where they were given, for messages.
        after: the text before the number, such as "step="; None for the only number that differs.
        how: what to do in order to give that text, for messages.

    Raises:
        StorageError: a pattern matches nothing, a name tells no iteration, or two tell the same.
    """
    files = [file for name in names for file in _matching(name, place)]
    files = list(dict.fromkeys(files))
    if after is None:
        numbers = _differing(files, place, how)
    else:
        numbers = {file: _behind(file, after, place) for file in files}
    found: dict[int, str] = {}
    for file, number in sorted(numbers.items(), key=lambda item: item[1]):
        if number in found:
            raise StorageError(
                f"{place} {file}: tells iteration {number}, as {found[number]} does. Allowed: one "
                "file for each. Leave one out."
            )
        found[number] = file
    return found


def _matching(name: str, place: str) -> list[str]:
    if not is_pattern(name):
        return [name]
    every = glob.glob(name, recursive=True)
    files = [file for file in every if not os.path.isdir(file)]
    if every and not files:
        raise StorageError(
            f"{place} {name}: matches folders only. Allowed: a pattern of files, such as "
            f"{name.rstrip('/')}/model.safetensors. Correct it."
        )
    if not files:
        raise StorageError(
            f"{place} {name}: matches no file. Allowed: a pattern that matches some. Correct it."
        )
    return sorted(files)


def _differing(files: Sequence[str], place: str, how: str) -> dict[str, int]:
    """By file, the one number in which the names differ."""
    parts = {file: _NUMBER.split(file) for file in files}
    numbers = {file: [int(each) for each in _NUMBER.findall(file)] for file in files}
    first = files[0]
    for file in files:
        if not numbers[file]:
            raise StorageError(
                f"{place} {file}: its name holds no number. {_ALLOWED}. Rename it, or leave it out."
            )
        if parts[file] != parts[first]:
            raise StorageError(
                f"{place} {file}: its name differs from {first} in more than numbers. {_ALLOWED}. "
                f"Leave it out, or say which number: {how}."
            )
    columns = list(zip(*numbers.values(), strict=True))
    differing = [k for k, column in enumerate(columns) if len(set(column)) > 1]
    if len(files) == 1:  # nothing to compare with
        differing = [len(columns) - 1]
    if len(differing) != 1:
        say = "several numbers" if differing else "no number"
        raise StorageError(
            f"{place} {files[-1]}: its name differs from {first} in {say}. {_ALLOWED}. Say which "
            f"number: {how}."
        )
    return {file: numbers[file][differing[0]] for file in files}


def _behind(file: str, after: str, place: str) -> int:
    found = re.findall(re.escape(after) + r"(\d+)", file)
    if not found:
        raise StorageError(
            f"{place} {file}: its name holds no number behind {after!r}. Allowed: names with that "
            "text before the iteration. Leave the file out, or give another text."
        )
    return int(found[-1])
