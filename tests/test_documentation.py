"""Documentation, environment files and licence are in step with the code."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.version import Version

from flatness import documentation


def test_generated_tables_are_in_step():
    stale = [path.name for path in documentation.stale()]
    assert not stale, f"run `make docs`: {stale}"


def test_lock_has_hashes_and_no_addresses(root):
    lock = (root / "envs/requirements.txt").read_text()
    assert "://" not in lock
    entries = re.split(r"\n(?=[a-z])", lock)[1:]
    assert len(entries) > 50
    assert all("--hash=sha256:" in entry for entry in entries)


def test_locked_versions_lie_in_the_declared_ranges(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lock = dict(
        re.findall(r"^([a-z0-9-]+)==([^ ]+)", (root / "envs/requirements.txt").read_text(), re.M)
    )
    for entry in project["dependencies"] + project["optional-dependencies"]["dev"]:
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
