"""What importing the package loads, and the command that is installed with it."""

import ast
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import flatness
from flatness.command.options import parser

# Loading any of these takes longer than all of the package.
SLOW = ("torch", "xarray", "numpy", "pandas", "scipy", "matplotlib", "netCDF4", "pydantic")


def _loaded_by(statement: str) -> set[str]:
    """The first parts of the names of all modules that a fresh interpreter has after it."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-c", code]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_importing_it_loads_nothing_slow():
    before = _loaded_by("")  # what a site customises is not the package's doing
    after = _loaded_by("import flatness; dir(flatness); flatness.__version__")
    assert "flatness" in after
    assert not (after - before) & set(SLOW)


def test_type_checkers_see_the_names_that_are_found():
    """They read the imports under TYPE_CHECKING; an interpreter finds names by `_PUBLIC`."""
    module = ast.parse(Path(flatness.__file__).read_text())
    (checked,) = (node for node in module.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in checked.body for alias in node.names}
    assert seen == {**flatness._PUBLIC, "plot": "flatness"}
    assert sorted(flatness.__all__) == sorted([*seen, "__version__"]) == sorted(dir(flatness))
    assert Path(flatness.__file__).with_name("py.typed").exists()


@pytest.mark.parametrize("name", ["quantities", "bounds", "plot", "open_results"])
def test_what_needs_no_network_does_not_load_torch(name):
    assert "torch" not in _loaded_by(f"import flatness; flatness.{name}")


def test_the_installed_command_is_this_one(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    ((command, place),) = project["scripts"].items()
    module, _, function = place.partition(":")
    assert parser().prog == command
    assert getattr(import_module(module), function)(["publish", "absent.nc", "--output", "x"]) == 1


def test_what_is_quick_is_there(root):
    """`make test-quick` names files, which may move."""
    makefile = (root / "Makefile").read_text()
    wanted = ["make", "--silent", "--file", "-", "listed"]
    lister = f"{makefile}\nlisted:\n\t@echo $(QUICK) $(SLOW)\n"
    listed = subprocess.run(
        wanted, input=lister, cwd=root, check=True, capture_output=True, text=True
    ).stdout.split()
    assert len(listed) > 10
    assert not [name for name in listed if not (root / name).exists()]
