"""The commit that a result names: never a clean one for a tree that differs from it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "workflow" / "flatness"


@pytest.fixture
def clone(tmp_path):
    """A repository with the modules that name the commit, committed."""
    package = tmp_path / "repository" / "workflow" / "flatness"
    package.mkdir(parents=True)
    shutil.copy(PACKAGE / "provenance.py", package)
    (package / "__init__.py").write_text('__version__ = "1"\n')
    (package / "analysis.py").write_text("one = 1\n")
    repository = tmp_path / "repository"
    (repository / ".gitignore").write_text("__pycache__/\n")
    (repository / "notes.md").write_text("notes\n")
    (repository / "results").mkdir()
    (repository / "results/README.md").write_text("what goes where\n")
    _git(repository, "init", "--quiet")
    _git(repository, "add", ".")
    _git(repository, "commit", "--quiet", "--message", "all")
    return repository


def _git(repository: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.strip()


def _commit(workflow: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", "from flatness.provenance import commit; print(commit())"],
        cwd=workflow,
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(workflow), "PATH": "/usr/local/bin:/usr/bin:/bin"},
    ).stdout.strip()


def test_a_tree_as_committed_is_called_by_its_commit(clone):
    assert _commit(clone / "workflow") == _git(clone, "rev-parse", "--short=12", "HEAD")


@pytest.mark.parametrize(
    "change",
    [
        lambda clone: (clone / "workflow/flatness/analysis.py").write_text("one = 2\n"),
        lambda clone: (clone / "workflow/flatness/network.py").write_text("two = 2\n"),
        lambda clone: (clone / "workflow/network.py").write_text("two = 2\n"),
        lambda clone: (clone / "workflow/flatness/analysis.py").unlink(),
        lambda clone: (clone / "notes.md").write_text("other notes\n"),
    ],
    ids=("edited", "untracked", "untracked beside the package", "deleted", "edited elsewhere"),
)
def test_a_changed_tree_is_called_dirty(clone, change):
    change(clone)
    assert _commit(clone / "workflow").endswith("-dirty")


def test_files_elsewhere_that_git_does_not_know_change_nothing(clone):
    (clone / "more_notes.md").write_text("notes\n")
    assert not _commit(clone / "workflow").endswith("-dirty")


def test_results_may_be_deleted_with_the_page_in_their_folder(clone):
    shutil.rmtree(clone / "results")
    assert not _commit(clone / "workflow").endswith("-dirty")


def test_a_package_that_lies_in_another_repository_names_no_commit(clone):
    inner = clone / "venv" / "lib"
    shutil.copytree(clone / "workflow", inner)
    assert _commit(inner) == "unknown"
