"""The shape of the workflow itself."""

import re
import shutil
import subprocess
import sys
import time

import pytest
import yaml

DIRECTIVES = ("input", "output", "log", "benchmark", "conda", "threads", "resources", "message")


def _rules(root) -> dict[str, str]:
    """The text of each rule that runs a script, by name."""
    found = {}
    for file in (root / "workflow/rules").glob("*.smk"):
        for text in re.split(r"\n(?=rule )", "\n" + file.read_text())[1:]:
            if "script:" in text:
                found[re.match(r"rule (\w+):", text)[1]] = text
    return found


def test_every_computing_rule_has_all_directives(root):
    rules = _rules(root)
    assert "output:" not in rules.pop("thin"), "it computes nothing"
    assert set(rules) == {
        "prepare_dataset",
        "train_run",
        "measure_run",
        "analyse_run",
        "correlate",
        "judge_claims",
        "draw_figure",
        "write_report",
        "gather",
        "publish",
    }
    for name, text in rules.items():
        for directive in DIRECTIVES:
            assert f"\n    {directive}:" in text, (name, directive)
        for resource in ("mem_mb=", "runtime="):
            assert resource in text, (name, resource)
        for first, following in (("input", "output"), ("output", "log")):
            block = re.search(rf"\n    {first}:\n(.*?)\n    {following}:", text, re.DOTALL)[1]
            for line in block.splitlines():
                assert re.match(r"\s{8}\w+=|\s{9,}|\s{8}[\])]", line), (name, line)


def test_rules_and_scripts_have_the_same_names(root):
    scripts = {file.stem for file in (root / "workflow/scripts").glob("*.py")}
    assert scripts == set(_rules(root))
    for name, text in _rules(root).items():
        assert f'"../scripts/{name}.py"' in text


def test_the_library_does_not_know_snakemake(root):
    for file in (root / "workflow/flatness").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) +snakemake", file.read_text(), re.M), file


def test_analysis_and_figures_do_not_import_torch(root):
    for folder in ("analysis", "figures", "glossary", "publication", "tables"):
        for file in (root / "workflow/flatness" / folder).rglob("*.py"):
            assert not re.search(r"^\s*(import|from) +torch", file.read_text(), re.M), file


@pytest.mark.parametrize("config", ["config.yaml", "demo.yaml"])
def test_dry_run_of_the_shipped_configurations(root, tmp_path, config):
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "snakemake",
        "--dry-run",
        "--cores",
        "1",
        "--snakefile",
        str(root / "Snakefile"),
        "--directory",
        str(tmp_path),
        "--configfile",
        str(root / "config" / config),
    ]
    start = time.monotonic()
    result = subprocess.run(command, capture_output=True, text=True, timeout=100)
    print(f"snakemake -n took {time.monotonic() - start:.1f} s")
    assert result.returncode == 0, result.stderr[-2000:]
    runs = {"config.yaml": 50, "demo.yaml": 20}[config]
    for rule, jobs in (
        ("train_run", runs),
        ("measure_run", runs),
        ("analyse_run", runs),
        ("draw_figure", 11),
        ("correlate", 1),
        ("judge_claims", 1),
        ("write_report", 1),
    ):
        assert re.search(rf"{rule} +{jobs}\n", result.stdout), rule
    imported = set(re.findall(r"\| +(\w+)\n", result.stderr))
    assert "pydantic" in imported
    assert not imported & {"torch", "torchvision", "xarray", "matplotlib", "sklearn"}


@pytest.mark.parametrize(
    ("figure", "runs"), [("figD5", 10), ("figD4", 2), ("fig3", 2), ("figS3", 20), ("fig1", 6)]
)
def test_a_figure_of_the_demo_needs_nothing_else(root, tmp_path, figure, runs):
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--cores",
        "2",
        figure,
        "--snakefile",
        str(root / "Snakefile"),
        "--directory",
        str(tmp_path),
        "--configfile",
        str(root / "config/demo.yaml"),
        "--quiet",
        "rules",
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100)
    table = result.stdout.partition("Job stats:\n")[2].partition("\n\n")[0]
    jobs = dict(line.split() for line in table.splitlines()[2:])
    by_run = dict.fromkeys(("train_run", "measure_run", "analyse_run"), str(runs))
    once = dict.fromkeys(("prepare_dataset", "draw_figure", figure), "1")
    assert jobs == by_run | once | {"total": str(3 * runs + 3)}


def test_snakemake_runs_the_paper_without_a_configfile(root):
    result = subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--nolock", "fig1"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    config = yaml.safe_load((root / "config/config.yaml").read_text())
    assert f"results/{config['name']}/figures/fig1.png" in result.stdout


def test_the_netcdf_example_runs(finished, tmp_path, monkeypatch, run_section):
    """On a run of the small study in the place of the demo's."""
    small, demo = finished / "results/small", tmp_path / "results/demo"
    for folder in ("measurements", "analysis"):
        (demo / folder).mkdir(parents=True)
        shutil.copy(
            small / folder / "mlp_lr0.1_bs20_seed0.nc",
            demo / folder / "mlp_digits_lr0.1_bs20_seed0.nc",
        )
    (demo / "tables").mkdir()
    shutil.copy(small / "tables/correlations.nc", demo / "tables")
    monkeypatch.chdir(tmp_path)
    assert run_section("docs/files.md", "What is in a netCDF file") == 13
