"""Measurements that contradict a theorem stop the workflow and stay."""

import shutil

from flatness.storage import read_dataset, write_dataset


def test_a_wrong_norm_stops_the_workflow_and_is_named(finished, workflow):
    shutil.copytree(finished, workflow.folder, dirs_exist_ok=True)
    results = workflow.folder / "results/small"
    file = results / "measurements/mlp_lr0.2_bs20_seed1.nc"
    run = read_dataset(file)
    run["input_weight_spectral_norm"][3] *= 1e-3
    write_dataset(run, file)
    figure = results / "figures/fig1.png"
    before = figure.read_bytes()

    result = workflow.run("--cores", "1", "--rerun-triggers", "mtime", "--keep-going")

    assert result.returncode != 0
    everything = result.stdout + result.stderr
    lines = [line for line in everything.splitlines() if "contradicts a theorem" in line]
    assert lines, everything
    for part in (
        "mlp_lr0.2_bs20_seed1: inequality volume, iteration 27, sample set",
        "the left",
        "the right side",
    ):
        assert part in lines[0]
    log = (results / "logs/analyse_run/mlp_lr0.2_bs20_seed1.log").read_text()
    assert lines[0] in log
    assert "Traceback" not in log
    assert read_dataset(file).equals(run)
    assert not (results / "analysis/mlp_lr0.2_bs20_seed1.nc").exists()
    assert figure.read_bytes() == before
