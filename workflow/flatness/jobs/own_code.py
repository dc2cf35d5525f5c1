"""The hash of code of a user's own, as `flatness.jobs.fingerprint` has it for the package's."""

import ast
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from flatness.jobs.fingerprint import without_comments


def own_code(place: str) -> str:
    """Hash the file that a place names, and the files beside it that it imports, at any depth.

    Comments, docstrings and formatting do not count, nor does what lies elsewhere, such as
    installed libraries.

    Args:
        place: "package.module:NAME" or "path/to/file.py:NAME"; the name and its colon may lack.

    Returns:
        16 hexadecimal digits; of the place alone where there is no such file, which is then
        missed by whatever imports it.
    """
    source = place.rpartition(":")[0] or place
    first, folder = _file(source)
    if first is None:
        return _digest(place)
    found: dict[str, str] = {}
    waiting = [first]
    while waiting:
        file = waiting.pop()
        name = os.path.relpath(file, folder)
        if name not in found:
            tree = without_comments(file)
            found[name] = ast.unparse(tree)
            waiting += _beside(tree, file, folder)
    return _digest("".join(f"{name}\n{found[name]}\n" for name in sorted(found)))


def _file(source: str) -> tuple[Path | None, Path]:
    """The file of a module, and the folder from which it and its neighbours are imported."""
    if source.endswith(".py"):
        file = Path(source)
        return (file if file.is_file() else None), file.parent
    names = source.split(".")
    for folder in dict.fromkeys([os.getcwd(), *sys.path]):
        found = _module(Path(folder), names)
        if found is not None:
            return found, Path(folder)
    return None, Path()


def _module(folder: Path, names: list[str]) -> Path | None:
    base = folder.joinpath(*names)
    files = (base.with_suffix(".py"), base / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def _beside(tree: ast.Module, file: Path, folder: Path) -> Iterator[Path]:
    """The files below `folder` that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [(folder, alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = file.parents[node.level - 1] if node.level else folder
            module = node.module.split(".") if node.module else []
            names = [(start, module), *((start, [*module, alias.name]) for alias in node.names)]
        else:
            continue
        for start, parts in names:
            for count in range(1, len(parts) + 1):
                found = _module(start, parts[:count])
                if found is not None:
                    yield found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
