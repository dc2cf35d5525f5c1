"""A publication takes the place of an earlier one, and of nothing else."""

import shutil

import pytest

from flatness.__main__ import main
from flatness.publication.earlier import is_publication
from flatness.storage import write_tree
from tests.publication.made_up_results import made_up_results

# The figure of points is slow to draw, and no figure is wanted here.
BARE = {"figures": {"figS3": {"kind": "lemma", "studies": ["vgg"]}}}


@pytest.fixture
def part(tmp_path, monkeypatch):
    """A file of results in the current folder, which is a new one."""
    monkeypatch.chdir(tmp_path)
    write_tree(made_up_results(seeds=(0,), **BARE), "part.nc")
    return "part.nc"


def held(folder) -> dict:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    "names",
    [
        ["figures/fig1.pdf", "part.nc"],
        ["tables/__init__.py"],
        ["README.md", "results.nc", "figures/mine.png"],
        ["README.md", "results.nc", "configuration.yaml", "figures/mine.png"],
        ["parts"],
        ["parts/one.nc", "notes.txt"],
    ],
)
def test_a_folder_of_other_files_is_left_alone(part, tmp_path, capsys, names):
    for name in names:
        file = tmp_path / "mine" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
    before = held(tmp_path)
    for words in (["publish", part], ["reproduce", "published"]):
        assert main([*words, "--output", "mine"]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "--output mine: holds " in error
        assert "is no earlier publication. Allowed: " in error
    assert held(tmp_path) == before


def test_what_lies_in_an_earlier_publication(part, tmp_path):
    (tmp_path / "published/parts").mkdir(parents=True)
    moved = shutil.move(part, "published/parts/one.nc")
    assert main(["publish", moved, "--output", "published"]) == 0
    more = tmp_path / "published/figures/figure_of_old.png"
    more.touch()
    assert main(["publish", moved, "--output", "published"]) == 0
    assert is_publication("published")
    assert (tmp_path / moved).is_file()
    assert not more.exists()


def test_another_publication_is_not_reproduced_over(part, tmp_path, capsys):
    assert main(["publish", part, "--output", "one"]) == 0
    shutil.copytree("one", "other")
    write_tree(made_up_results(seeds=(1,), **BARE), "other/results.nc")
    before = held(tmp_path)
    capsys.readouterr()
    assert main(["reproduce", "one", "--output", "other"]) == 1
    error = capsys.readouterr().err
    assert "--output other: holds a publication of other results than one. Allowed: " in error
    assert held(tmp_path) == before
    shutil.copytree("one", "again")
    assert main(["reproduce", "one", "--output", "again"]) == 0
