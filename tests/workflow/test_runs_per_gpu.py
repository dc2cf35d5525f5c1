"""How many jobs Snakemake works on at a time, by the number of GPUs and `runs_per_gpu`."""

import re

import pytest

from tests.workflow.small_workflow import Workflow, copy_source

TRAINED = [
    f"results/small/runs/mlp_lr{rate}_bs20_seed{seed}/checkpoints.safetensors"
    for rate in (0.1, 0.2)
    for seed in (0, 1)
]


@pytest.fixture
def one_gpu(tmp_path):
    """Four runs to be trained where the driver has one GPU, made up."""
    source, folder = tmp_path / "source", tmp_path / "folder"
    for each in (source, folder):
        each.mkdir()
    copy_source(source)
    workflow = Workflow(source, folder)
    _driver(workflow).write_text("def visible_gpus():\n    return 1\n")
    workflow.config["device"] = "auto"
    return workflow


@pytest.mark.parametrize(
    ("runs_per_gpu", "given", "together"),
    [(2, (), 2), (1, ("gpu=2",), 2), (3, ("gpu=1",), 3)],
)
def test_jobs_at_a_time(one_gpu, runs_per_gpu, given, together):
    one_gpu.config["runs_per_gpu"] = runs_per_gpu
    resources = ("--resources", *given) if given else ()
    said = one_gpu.succeed(*resources, "--cores", "4", *TRAINED).stderr
    assert max(map(int, re.findall(r"^Execute (\d+) jobs", said, re.M))) == together


@pytest.mark.parametrize("looking", [("--dry-run", "--cores", "4"), ("--summary",)], ids=" ".join)
def test_the_driver_is_not_asked_where_nothing_is_started(one_gpu, looking):
    """Asking initialises it in the process that asks."""
    _driver(one_gpu).write_text("def visible_gpus():\n    raise SystemExit('asked')\n")
    assert "asked" not in one_gpu.succeed(*looking, *TRAINED).stderr


def _driver(workflow):
    return workflow.source / "workflow/flatness/jobs/nvidia_driver.py"
