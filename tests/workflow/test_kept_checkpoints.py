"""`training.keep_checkpoints`: what stays of finished runs, and that nothing is trained for it."""

import shutil

import pytest

RUNS = "results/small/runs"


@pytest.fixture
def done(workflow, finished):
    """A finished study, in a folder of the test's own."""
    shutil.copytree(finished, workflow.folder, dirs_exist_ok=True)
    return workflow


def _kept(workflow) -> list[str]:
    return sorted(file.name for file in (workflow.folder / RUNS).rglob("*.safetensors"))


def _measurements(folder) -> dict[str, bytes]:
    measured = (folder / "results/small/measurements").glob("*.nc")
    return {file.name: file.read_bytes() for file in measured}


def _keep(workflow, which):
    workflow.config["training"] = {"keep_checkpoints": which}


def test_checkpoints_go_when_everything_is_measured(workflow, finished):
    _keep(workflow, "last")
    workflow.study["seeds"] = [0]
    workflow.succeed("--cores", "2", "measurements")
    assert _kept(workflow) == ["kept.safetensors"] * 2
    measurements = _measurements(workflow.folder)
    assert len(measurements) == 2
    assert measurements.items() <= _measurements(finished).items()
    assert "Nothing to be done" in workflow.succeed("--cores", "1", "measurements").stderr

    workflow.study["seeds"] = [0, 1]
    planned = workflow.planned("--cores", "1", "measurements")
    assert (planned["train_run"], planned["measure_run"]) == (2, 2)


def test_changing_the_setting_trains_nothing(done):
    for which, name in (
        ("all", "checkpoints"),
        ("last", "kept"),
        ("none", "kept"),
        ("all", "kept"),
    ):
        _keep(done, which)
        assert "Nothing to be done" in done.succeed("--cores", "1").stderr
        done.succeed("--cores", "1", "thin")
        assert _kept(done) == [f"{name}.safetensors"] * 4
    assert done.planned() == {}


def test_a_measurement_that_is_lost_is_computed_anew(done, finished):
    _keep(done, "none")
    done.succeed("--cores", "1", "thin")
    lost = "results/small/measurements/mlp_lr0.1_bs20_seed0.nc"
    (done.folder / lost).unlink()
    assert done.planned("--cores", "1", lost) == {"train_run": 1, "measure_run": 1, "total": 2}
    done.succeed("--cores", "1", lost)
    assert _measurements(done.folder) == _measurements(finished)
    assert _kept(done) == ["kept.safetensors"] * 4


def test_runs_that_are_not_measured_keep_their_checkpoints(workflow):
    _keep(workflow, "none")
    run = f"{RUNS}/mlp_lr0.1_bs20_seed0/checkpoints.safetensors"
    workflow.succeed("--cores", "1", run)
    assert (workflow.folder / run).exists()


def test_a_damaged_run_is_named_in_one_line(done):
    _keep(done, "last")
    run = done.folder / RUNS / "mlp_lr0.1_bs20_seed0/checkpoints.safetensors"
    damaged = bytearray(run.read_bytes())
    damaged[-1] ^= 1
    run.write_bytes(damaged)
    (done.folder / "results/small/tables/claims.csv").unlink()
    result = done.run("--cores", "1", "claims", "--rerun-triggers", "input")
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert result.stderr.count("is damaged") == 1
    assert run.exists()
