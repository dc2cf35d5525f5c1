"""Killing Snakemake and everything below it, and starting the documented command again."""

import contextlib
import os
import random
import signal
import subprocess
import time


def _wait_for_checkpoints(folder, count, process):
    """Until so many more checkpoints of unfinished runs are on the disk, or all is done."""
    state = folder / "results/small/state"
    seen = set(state.rglob("[0-9]*.safetensors"))
    while process.poll() is None and len(set(state.rglob("[0-9]*.safetensors")) - seen) < count:
        time.sleep(0.01)


def test_killing_the_whole_workflow_changes_no_bit(workflow, another_workflow):
    whole, killed = workflow, another_workflow
    for one in (whole, killed):
        one.study.update(iterations=12000, seeds=[0], checkpoints={"early": 3, "late": 60})
    whole.succeed("--cores", "1")

    draw, resumed = random.Random(3), 0
    for _ in range(4):
        process = subprocess.Popen(
            killed.command("--cores", "2", "--rerun-incomplete"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=killed.environment,
            start_new_session=True,
        )
        _wait_for_checkpoints(killed.folder, draw.randint(3, 12), process)
        with contextlib.suppress(ProcessLookupError):  # all was done
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for log in (killed.folder / "results/small/logs/train_run").glob("*.log"):
            resumed += "resuming at iteration" in log.read_text()
        killed.succeed("--cores", "1", "--unlock")
        for final in (killed.folder / "results/small").rglob("*"):
            if final.is_file() and not final.name.startswith(".") and "state" not in final.parts:
                assert final.stat().st_size > 0 or final.suffix in (".log", ".tsv"), final
    killed.succeed("--cores", "2", "--rerun-incomplete")

    assert resumed > 0, "at least one kill must have met a run that was under way"
    # All but what holds times: logs, benchmarks and the report's first page.
    results = sorted(
        path.relative_to(whole.folder)
        for folder in (
            "datasets",
            "runs",
            "measurements",
            "analysis",
            "figures",
            "tables",
            "report",
        )
        for path in (whole.folder / "results/small" / folder).rglob("*")
        if path.is_file() and path.name != "overview.html"
    )
    assert len(results) == 1 + 2 + 2 + 2 + 2 + (3 + 4) + 2
    for path in results:
        assert (killed.folder / path).read_bytes() == (whole.folder / path).read_bytes(), path


def test_cores_do_not_change_bits(finished, workflow):
    workflow.succeed("--cores", "1", "measurements")
    measurements = list((finished / "results/small/measurements").glob("*.nc"))
    assert len(measurements) == 4
    for path in measurements:
        again = workflow.folder / path.relative_to(finished)
        assert again.read_bytes() == path.read_bytes(), path


def test_a_diverged_run_is_excluded_and_named_and_the_rest_goes_on(workflow):
    import xarray as xr

    workflow.study["sweep"].append({"learning_rate": 1e6, "batch_size": 20})
    workflow.study["loss"] = "mse"
    workflow.succeed("--cores", "2")
    results = workflow.folder / "results/small"
    run = xr.load_dataset(results / "measurements/mlp_lr1000000_bs20_seed0.nc")
    assert run.attrs["diverged"] == 1
    assert (results / "figures/fig1.png").stat().st_size > 10000
    log = (results / "logs/train_run/mlp_lr1000000_bs20_seed0.log").read_text()
    assert "the loss is not finite at iteration" in log
