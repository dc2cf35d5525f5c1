"""Where a whole run leaves files."""

import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def written(make_workflow, tmp_path_factory) -> set[str]:
    """What a study writes, by paths below a folder in which everything is empty at first."""
    box = tmp_path_factory.mktemp("box")
    for name in ("home", "temporary", "here"):
        (box / name).mkdir()
    workflow = make_workflow(box / "here")
    workflow.study.update(seeds=[0], sweep=workflow.study["sweep"][:1])
    workflow.config["folders"] = {"results": "../some/results", "data": "../some/data"}
    command = workflow.command("--cores", "2", "fig1", "claims")
    source = _listed(workflow.source)
    own = {name for name in os.environ if name.startswith(("XDG_", "MPL"))}
    environment = {name: value for name, value in workflow.environment.items() if name not in own}
    home, temporary = str(box / "home"), str(box / "temporary")
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        env=environment | {"HOME": home, "TMPDIR": temporary, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert _listed(workflow.source) == source
    return _listed(box)


def _listed(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_all_that_is_computed_lies_in_the_results_folder(written):
    ours = {path for path in written if path.startswith("some/results/small/")}
    assert len(ours) > 20
    # Besides it: the list of fonts, what Snakemake notes where it runs, and its cache.
    others = {path for path in written - ours if not path.startswith("here/.snakemake/")}
    snakemakes = {path for path in others if path.startswith("home/.cache/snakemake/")}
    fonts = {path for path in others if path.startswith("some/results/.cache/fontlist-")}
    assert others - snakemakes - fonts == {"here/config.yaml"}
    assert len(fonts) == 1


def test_nothing_is_left_in_the_temporary_folder(written):
    assert not {path for path in written if path.startswith("temporary/")}
