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


def test_the_readme_opens_with_what_is_published(tmp_path, monkeypatch):
    folder = tmp_path / "docs/reproduction"
    (folder / "tables").mkdir(parents=True)
    (folder / "README.md").write_text(
        "# A title\n\n**What it is: this.**\n\n"
        "![Figure 2](figures/fig2.png)\n\n![Figure 1](figures/fig1.png)\n"
    )
    (folder / "tables/claims.csv").write_text(
        "claim,part,network,verdict,seeds,seeds_held,sensitive_to\n"
        "6,a,MLP,reproduced,2,2,\n"
        "6,b,MLP,not reproduced,2,0,\n"
        "6,c,MLP,not testable,2,1,\n"
        "7,a,MLP,not testable,3,3,\n"
        "7,b,MLP,not testable,0,,\n"
    )
    monkeypatch.setattr(generated_tables, "ROOT", tmp_path)
    monkeypatch.setattr(generated_tables, "PUBLISHED", folder)
    picture, words = generated_tables.answer().split("\n\n")
    assert picture == (
        "[![Figure 1](docs/reproduction/figures/fig1.png)](docs/reproduction/README.md#figures)"
    )
    assert words == (
        "*Figure 1 of the paper, computed anew.* What it is: this. Of 5 parts of the paper's "
        "claims: 1 reproduced, 1 not reproduced, 0 undecided, 3 not testable."
    )
    assert (
        generated_tables.reproduction()
        .splitlines()[2]
        .endswith(" | 1 reproduced, 1 not reproduced, 1 not testable; in some seeds only: 6c |")
    )


def test_the_readme_is_short(root):
    assert len((root / "README.md").read_text().splitlines()) <= 130


def test_the_readmes_links_lead_somewhere(root):
    links = re.findall(r"\]\(([^)]+)\)", (root / "README.md").read_text())
    inside = [link for link in links if "://" not in link]
    assert len(inside) > 20
    for link in inside:
        file, _, heading = link.partition("#")
        page = root / file
        assert page.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
            assert heading in [
                re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings
            ]


def test_the_shortest_study_on_its_page_is_the_file(root):
    (shown,) = re.findall(
        r"^```yaml\n(.*?)^```$", (root / "docs/your_own_study.md").read_text(), re.M | re.S
    )
    comment, _, content = (root / "config/minimal.yaml").read_text().partition("\n\n")
    assert all(line.startswith("#") for line in comment.splitlines())
    assert shown == content


def test_every_command_of_make_is_on_the_first_page(root):
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(), re.M)
    page = (root / "docs/getting_started.md").read_text()
    rows = re.findall(r"^\| `make ([a-z-]+)` \|", page, re.M)
    assert set(rows) == set(targets.split())


def test_bounds_and_defaults_are_written_as_in_a_configuration():
    table = generated_tables.settings_table()
    assert "≤ 2147483647<br>" in table
    assert "<br>default: `[train_loss, local_dimension]` |" in table
    assert "e+" not in table
    assert "`(" not in table


def test_what_is_published_can_be_plotted_in_three_lines(run_section, root, monkeypatch):
    import matplotlib

    matplotlib.use("agg")
    monkeypatch.chdir(root)
    assert run_section("docs/files.md", "What is published") == 10


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


def test_the_published_results_open_as_the_first_page_says(run_section, root, monkeypatch):
    monkeypatch.chdir(root)
    assert run_section("docs/getting_started.md", "Open the published results") == 5


def test_the_example_of_an_own_network_runs(run_section, one_thread):
    assert run_section("docs/your_own_network.md", "A network of your own") == 17


def test_the_example_of_many_outputs_runs(run_section, one_thread):
    assert run_section("docs/your_own_network.md", "Many outputs") == 7
