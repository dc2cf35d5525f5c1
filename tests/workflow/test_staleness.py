"""What a change makes stale, and what it leaves alone."""

import os
import shutil
import subprocess

import pytest
import xarray as xr

TABLES = {"correlate", "judge_claims", "write_report"}
GATHERED = {"gather", "write_report"}
DRAWN = {"draw_figure", "write_report"}
ANALYSED = {"analyse_run", "draw_figure"} | TABLES | GATHERED
MEASURED = {"measure_run"} | ANALYSED


@pytest.fixture
def done(finished, workflow):
    """A finished study that may be changed."""
    shutil.copytree(finished, workflow.folder, dirs_exist_ok=True)
    return workflow


def test_a_finished_study_has_nothing_to_do(done):
    assert done.planned("--cores", "1") == {}


@pytest.mark.parametrize("kept", [True, False], ids=["same folder", "fresh clone"])
def test_files_of_the_workflow_that_are_newer_than_results_change_nothing(done, kept):
    """Git gives what it writes the time of now; what Snakemake recorded is not in a fresh clone."""
    for file in done.source.rglob("*"):
        os.utime(file)
    if not kept:
        shutil.rmtree(done.folder / ".snakemake")
    assert done.planned("--cores", "1") == {}


def test_a_new_seed_runs_only_that_seed(done):
    done.study["seeds"] = [0, 1, 2]
    planned = done.planned("--cores", "1")
    assert planned.pop("total") == 3 * 2 + 1 + 4 + 1
    by_run = dict.fromkeys(("train_run", "measure_run", "analyse_run"), 2)
    assert planned == by_run | {"draw_figure": 1, "all": 1} | dict.fromkeys(TABLES | GATHERED, 1)


def test_a_new_setting_runs_only_that_setting(done):
    done.study["sweep"].append({"learning_rate": 0.1, "batch_size": 8})
    planned = done.planned("--cores", "1")
    assert planned["train_run"] == planned["measure_run"] == 2


def test_rewriting_a_learning_rate_changes_nothing(done):
    command = done.command("--dry-run", "--cores", "1")  # writes the configuration
    config = done.folder / "config.yaml"
    text = config.read_text()
    assert "learning_rate: 0.1\n" in text
    config.write_text(text.replace("learning_rate: 0.1\n", "learning_rate: 0.10\n"))
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=100, env=done.environment
    )
    assert "Nothing to be done" in result.stdout + result.stderr


def test_another_confidence_level_measures_and_analyses_nothing(done):
    done.config["analysis"] = {"confidence": 0.9}
    planned = done.planned("--cores", "1")
    # A trend figure has no intervals.
    assert set(planned) == {"all", "total"} | TABLES | GATHERED


def test_other_powers_analyse_and_do_not_measure(done):
    done.config["analysis"] = {"bound_powers": [1, 2, 3]}
    assert set(done.planned("--cores", "1")) == {"all", "total"} | ANALYSED


def test_other_probes_measure_and_do_not_train(done):
    done.config["measuring"] = {"hessian_probes": 5}
    assert set(done.planned("--cores", "1")) == {"all", "total"} | MEASURED


def test_claims_on_the_other_network_are_judged_anew(done):
    """The same files as before, but in another role."""
    done.config["claims"] = {"vgg10": "mlp"}
    planned = done.planned("--cores", "1")
    once = ("judge_claims", "gather", "write_report", "all")
    assert planned == dict.fromkeys(once, 1) | {"total": 4}


def test_sharing_a_gpu_changes_nothing(done):
    done.config["runs_per_gpu"] = 8
    assert done.planned("--cores", "1") == {}


def test_a_middle_layer_measures_that_layer_only(done):
    done.study["middle_layers"] = ["3"]
    planned = done.planned("--cores", "1")
    once = ("gather", "write_report", "all")
    assert planned == {"measure_layer": 4, "total": 7} | dict.fromkeys(once, 1)


def test_another_chunk_size_measures_and_does_not_train(done):
    done.config["measuring"] = {"chunk_size": 7}
    planned = done.planned("--cores", "1")
    assert "train_run" not in planned
    assert planned["measure_run"] == 4


@pytest.mark.parametrize(
    ("script", "addition", "stale"),
    [
        ("train_run", "\n# a comment\n", set()),
        ("train_run", "\nEXTRA = 1\n", {"train_run"} | MEASURED),
        ("analyse_run", "\nEXTRA = 1\n", ANALYSED),
    ],
)
def test_an_edit_of_a_script_makes_its_stage_stale(done, script, addition, stale):
    assert _planned_after(done, f"scripts/{script}.py", addition) == stale


@pytest.mark.parametrize(
    ("file", "addition", "stale"),
    [
        ("measurement/weight_forms.py", "\nEXTRA = 1\n", MEASURED),
        ("measurement/weight_forms.py", "\n# a comment\n", set()),
        ("experiment/training.py", "\nEXTRA = 1\n", {"train_run"} | MEASURED),
        ("figures/trends.py", "\nEXTRA = 1\n", DRAWN),
        ("figures/chain.py", "\nEXTRA = 1\n", set()),
        ("analysis/correlations.py", "\nEXTRA = 1\n", {"correlate", "write_report"}),
        ("publication/costs.py", "\nEXTRA = 1\n", GATHERED),
        ("analysis/quantities.py", "\nEXTRA = 1\n", ANALYSED),
        ("analysis/claims/the_claims.py", "\nEXTRA = 1\n", {"judge_claims", "write_report"}),
    ],
)
def test_an_edit_makes_its_stage_stale(done, file, addition, stale):
    """One of each stage; tests/jobs/test_fingerprint.py edits more files."""
    assert _planned_after(done, f"flatness/{file}", addition) == stale


def _planned_after(done, file, addition):
    """The rules with jobs to do once a text is added to a file of the workflow, for a while."""
    edited = done.source / "workflow" / file
    text = edited.read_text()
    edited.write_text(text + addition)
    try:
        planned = done.planned("--cores", "1")
    finally:
        edited.write_text(text)
    return set(planned) - {"all", "total"}


def test_a_figure_needs_only_its_own_runs(workflow):
    workflow.config["studies"]["other"] = dict(workflow.study)
    workflow.study["sweep"].append({"learning_rate": 0.1, "batch_size": 8})
    planned = workflow.planned("--cores", "1", "fig1")
    assert planned["train_run"] == planned["measure_run"] == 4
    assert planned["draw_figure"] == 1
    assert not set(planned) & TABLES


def test_every_run_is_one_file_with_the_promised_layout(finished):
    files = sorted((finished / "results/small/measurements").iterdir())
    assert [file.name for file in files] == [
        f"mlp_lr{rate}_bs20_seed{seed}.nc" for rate in ("0.1", "0.2") for seed in (0, 1)
    ]
    run = xr.load_dataset(files[0])
    assert set(run.sizes) == {
        "checkpoint",
        "sample_set",
        "sample",
        "mode",
        "parameter",
        "output",
        "layer",
        "window",
    }
    assert {"iteration", "epoch"} <= set(run.coords)
    assert list(run["iteration"].values) == [0, 1, 13, 27, 40]
    for attribute in (
        "run",
        "settings",
        "seed",
        "versions",
        "device",
        "threads",
        "dataset_checksum",
        "commit",
        "source",
        "diverged",
        "excluded_because",
    ):
        assert attribute in run.attrs
    assert not (finished / "results/small/state").exists() or not list(
        (finished / "results/small/state").iterdir()
    )
