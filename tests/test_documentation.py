"""Documentation, environment files and licence are in step with the code."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tools import generated_tables


def test_generated_tables_are_in_step():
    stale = [path.name for path in generated_tables.stale()]
    assert not stale, f"run `make docs`: {stale}"


@pytest.mark.parametrize("is_published", [True, False])
def test_the_readme_opens_with_what_is_published(is_published, tmp_path, monkeypatch):
    folder = tmp_path / ("docs/reproduction" if is_published else "docs/variants/another")
    (folder / "tables").mkdir(parents=True)
    (folder / "README.md").write_text(
        "# A title\n\n**What it is: this.**\n\n"
        "![Figure 2](figures/fig2.png)\n\n![Figure 1](figures/fig1.png)\n"
    )
    (folder / "tables/claims.csv").write_text(
        "claim,part,network,verdict\n6,a,MLP,reproduced\n6,b,MLP,not reproduced\n"
    )
    monkeypatch.setattr(generated_tables, "ROOT", tmp_path)
    monkeypatch.setattr(generated_tables, "PUBLISHED", tmp_path / "docs/reproduction")
    monkeypatch.setattr(generated_tables, "VARIANT", tmp_path / "docs/variants/another")
    opening, picture, table = generated_tables.reproduction().split("\n\n")
    place = folder.relative_to(tmp_path)
    assert opening.endswith(" What it is: this.")
    assert ("have not been run yet" in opening) == (not is_published)
    assert f"]({place}/README.md)" in opening
    assert picture == f"[![Figure 1]({place}/figures/fig1.png)]({place}/README.md#figures)"
    assert table.endswith(" | 1 reproduced, 1 not reproduced |")


def test_what_is_published_can_be_plotted_in_three_lines(run_readme_section, root, monkeypatch):
    import matplotlib

    matplotlib.use("agg")
    monkeypatch.chdir(root)
    assert run_readme_section("What is published") == 10


@pytest.mark.parametrize(("file", "at_least"), [("requirements.txt", 50), ("installer.txt", 1)])
def test_locks_have_one_version_and_hashes_and_no_addresses(root, file, at_least):
    lock = (root / "envs" / file).read_text()
    assert "://" not in lock
    entries = re.split(r"^(?=[a-z0-9])", lock, flags=re.M)[1:]
    assert len(entries) >= at_least
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==[^ ]+ .*--hash=sha256:[0-9a-f]{64}", entry, re.S), entry


def test_everything_that_make_installs_has_a_hash(root):
    lines = re.findall(r"^\t.*pip install.*$", (root / "Makefile").read_text(), re.M)
    assert len(lines) == 3
    for line in lines:
        assert "--require-hashes" in line or "--no-deps --no-build-isolation --editable ." in line


def test_conda_has_the_locked_versions_only(root):
    lock = (root / "envs/requirements.txt").read_text()
    listed = re.findall(r"^ {6}- (\S+)$", (root / "envs/environment.yaml").read_text(), re.M)
    assert len(listed) > 20
    for entry in listed:
        assert re.search(rf"^{re.escape(entry)} ", lock, re.M), entry


def test_locked_versions_lie_in_the_declared_ranges(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lock = dict(
        re.findall(r"^([a-z0-9-]+)==([^ ]+)", (root / "envs/requirements.txt").read_text(), re.M)
    )
    extras = project["optional-dependencies"]
    for entry in sum(extras.values(), project["dependencies"]):
        requirement = Requirement(entry)
        assert Version(lock[requirement.name.lower()]) in requirement.specifier, entry


def test_torch_and_torchvision_fit_together():
    import torch
    import torchvision

    boxes = torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1]])
    kept = torchvision.ops.nms(boxes, torch.tensor([1.0, 0.5]), 0.5)
    assert kept.tolist() == [0]


def test_the_readmes_example_of_an_own_network_runs(
    run_readme_section, one_thread, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert run_readme_section("A network of your own") == 21


def test_the_readmes_example_of_many_outputs_runs(run_readme_section, one_thread):
    assert run_readme_section("Many outputs") == 7
