"""A short hash of the code that a result depends on.

Snakemake compares a script's own text only. Rules pass this hash as a
parameter, so that an edit deeper in the package makes exactly those results
stale that it can change.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

# Modules that carry results about without changing a number in them. An edit there
# makes nothing stale.
PLUMBING = frozenset(
    f"flatness.{name}" for name in ("errors", "fingerprint", "glossary", "provenance", "storage")
)

_PACKAGE = Path(__file__).parent
_NAME = _PACKAGE.name


def fingerprint(*modules: str) -> str:
    """Hash the named modules and every module of the package they import, at any depth.

    Comments, docstrings, formatting and `PLUMBING` do not count. Modules that are imported by
    a computed name do not count either: name them as arguments.

    Args:
        modules: dotted names, such as "flatness.experiment.training".

    Returns:
        16 hexadecimal digits.
    """
    reached: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in reached and module not in PLUMBING:
            reached.add(module)
            waiting += _imports(module)
    digests = "".join(f"{module} {_digest(module)}\n" for module in sorted(reached))
    return hashlib.sha256(digests.encode()).hexdigest()[:16]


@cache
def _tree(module: str) -> ast.Module:
    tree = ast.parse(_file(module).read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return tree


@cache
def _digest(module: str) -> str:
    return hashlib.sha256(ast.unparse(_tree(module)).encode()).hexdigest()


@cache
def _imports(module: str) -> tuple[str, ...]:
    names: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    own = {name for name in names if name.startswith(f"{_NAME}.")}
    packages = {name.rsplit(".", k)[0] for name in own for k in range(name.count("."))}
    return tuple(sorted(name for name in own | packages if name != _NAME and _exists(name)))


def _file(module: str) -> Path:
    base = _PACKAGE.parent / module.replace(".", "/")
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def _exists(module: str) -> bool:
    return _file(module).is_file()
