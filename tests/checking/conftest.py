"""A small publication, sound, and copies of it that a test may change."""

import shutil

import pytest

from flatness.__main__ import main
from flatness.checking.step import Found
from flatness.storage import read_tree, write_tree
from tests.checking.small_study import configuration, published


@pytest.fixture(scope="session")
def sound(tmp_path_factory, one_thread_for_all):
    """A publication; not to be changed."""
    folder = tmp_path_factory.mktemp("publication")
    return published(folder / "small", tmp_path_factory.mktemp("scratch"), configuration())


@pytest.fixture(scope="session")
def one_thread_for_all():
    """One thread of torch, which small operations need least time with."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def copy(sound, tmp_path):
    """A publication that may be changed."""
    return shutil.copytree(sound, tmp_path / "copy")


@pytest.fixture
def change(copy):
    """A function: change the results of the copy, and state the checksum of what they are then."""

    def changed(function):
        results = read_tree(copy / "results.nc")
        function(results)
        write_tree(results, copy / "results.nc")

    return changed


@pytest.fixture
def checked(tmp_path, capsys):
    """A function: check a publication; exit code, what is printed, and the line of an error."""

    def check(folder, *words):
        output = tmp_path / "made"
        code = main(["check", str(folder), "--output", str(output), *words])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        assert printed.err.count("\n") == code
        return code, printed.out, printed.err

    return check


@pytest.fixture
def only(monkeypatch):
    """A function: of the steps that take long, make only some."""

    def some(*names):
        for name in {"tables", "figures", "pages", "run"} - set(names):
            step = f"flatness.checking.steps.check_{name}"
            monkeypatch.setattr(step, lambda *_, **__: Found())

    return some
