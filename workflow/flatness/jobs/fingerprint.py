"""A short hash of the code that a result depends on.

Snakemake compares the times of scripts only, which a fresh clone or a changed comment makes newer
than every result. Rules pass this hash as a parameter in the place of that, so that an edit
anywhere in the package makes exactly those results stale that it can change.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

# Modules that carry results about without changing a number in them. An edit there
# makes nothing stale.
PLUMBING = frozenset(
    f"flatness.{name}"
    for name in (
        "errors",
        "extras",
        "glossary",
        "glossary.earlier",
        "glossary.own",
        "jobs",
        "progress",
        "provenance",
        "storage",
    )
)

_PACKAGE = Path(__file__).parents[1]
_NAME = _PACKAGE.name


def fingerprint(*roots: str | Path) -> str:
    """Hash scripts and modules, and every module of the package that they import, at any depth.

    Comments, docstrings, formatting and `PLUMBING` do not count, nor do names of scripts. Files
    of a package that are no modules, such as a style, count with the package. Modules that are
    imported by a computed name do not count: name them as arguments.

    Args:
        roots: files of scripts, or dotted names such as "flatness.experiment.training".

    Returns:
        16 hexadecimal digits.
    """
    files = sorted(_digest(root) for root in roots if isinstance(root, Path))
    modules = sorted(reached(*roots))
    digests = [*files, *(f"{module} {_digest(_file(module))}" for module in modules)]
    return hashlib.sha256("".join(f"{line}\n" for line in digests).encode()).hexdigest()[:16]


def reached(*roots: str | Path) -> set[str]:
    """The modules of the package that count for `fingerprint`, by their dotted names."""
    found: set[str] = set()
    waiting = [root for root in roots if isinstance(root, str)]
    for script in (root for root in roots if isinstance(root, Path)):
        waiting += _imports(script)
    while waiting:
        module = waiting.pop()
        if module not in found and not is_plumbing(module):
            found.add(module)
            waiting += _imports(_file(module))
    return found


def is_plumbing(module: str) -> bool:
    """Whether a module decides no number; what lies in `flatness.glossary` may."""
    return module in PLUMBING or module.startswith(("flatness.jobs.", "flatness.progress."))


@cache
def without_comments(file: Path) -> ast.Module:
    """What a file of Python says, without comments and docstrings."""
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return tree


@cache
def _digest(file: Path) -> str:
    digest = hashlib.sha256(ast.unparse(without_comments(file)).encode())
    if file.name == "__init__.py":
        for other in sorted(file.parent.iterdir()):
            if other.is_file() and other.suffix != ".py" and not other.name.startswith("."):
                digest.update(other.read_bytes())
    return digest.hexdigest()


@cache
def _imports(file: Path) -> tuple[str, ...]:
    names: set[str] = set()
    for node in ast.walk(without_comments(file)):
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
