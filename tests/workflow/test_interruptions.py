"""What must not change a bit, and a run that fails; tests/faults kills and damages."""


def test_cores_do_not_change_bits(finished, workflow):
    workflow.study["seeds"] = [1]
    workflow.succeed("--cores", "1", "measurements")
    measurements = list((workflow.folder / "results/small/measurements").glob("*.nc"))
    assert len(measurements) == 2
    for path in measurements:
        first = finished / path.relative_to(workflow.folder)
        assert path.read_bytes() == first.read_bytes(), path


def test_a_diverged_run_is_excluded_and_named_and_the_rest_goes_on(workflow):
    import xarray as xr

    workflow.study["sweep"][1]["learning_rate"] = 1e6
    workflow.study.update(seeds=[0], loss="mse")
    workflow.succeed("--cores", "2")
    results = workflow.folder / "results/small"
    run = xr.load_dataset(results / "measurements/mlp_lr1000000_bs20_seed0.nc")
    assert run.attrs["diverged"] == 1
    assert (results / "figures/fig1.png").stat().st_size > 10000
    log = (results / "logs/train_run/mlp_lr1000000_bs20_seed0.log").read_text()
    assert "the loss is not finite at iteration" in log
