"""Measuring finished runs again, and noticing what differs."""

import shutil
from dataclasses import replace

import pytest

from flatness.__main__ import main
from flatness.experiment.prepared import prepare
from flatness.experiment.training import train
from flatness.measurement.run import measure_run
from flatness.storage import read_dataset, write_dataset
from tests.experiment.short_run import DIGITS, PLAN

RUNS = ("one", "two", "three")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A results folder of three measured runs."""
    folder = tmp_path_factory.mktemp("results")
    dataset = folder / "datasets/digits.nc"
    prepare(DIGITS, folder, False, dataset, {})
    for seed, name in enumerate(RUNS):
        checkpoints = folder / f"runs/{name}/checkpoints.safetensors"
        plan = replace(PLAN, run=name, seed=seed, iterations=30)
        train(plan, dataset, checkpoints, folder / "state")
        measure_run(
            checkpoints,
            dataset,
            folder / f"measurements/{name}.nc",
            dataset_name="digits",
            chunk_size=50,
            minibatch_window=10,
            curvature_options={"probes": 2, "exact_products": 0} if seed else None,
        )
    return folder


@pytest.fixture
def results(original, tmp_path):
    return shutil.copytree(original, tmp_path / "results")


def _change(path, change):
    dataset = read_dataset(path)
    change(dataset)
    path.unlink()
    write_dataset(dataset, path)


def test_unchanged_runs_have_the_same_bits(results, capsys):
    before = {file: file.read_bytes() for file in results.rglob("*") if file.is_file()}
    assert main(["verify", str(results), "--share", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("3 of 3 measured runs")
    assert [line.partition(":")[0] for line in lines[1:]] == sorted(RUNS)
    assert all("have the same bits" in line for line in lines[1:])
    assert {file: file.read_bytes() for file in results.rglob("*") if file.is_file()} == before


def test_a_share_is_drawn_by_the_seed(results, capsys):
    found = set()
    for seed in range(8):
        for _ in range(2):
            assert main(["verify", str(results), "--share", "0.3", "--seed", str(seed)]) == 0
        one, other = capsys.readouterr().out.split("1 of 3 measured runs")[1:]
        assert one == other
        found.add(one.splitlines()[1].partition(":")[0])
    assert found == set(RUNS)


@pytest.mark.parametrize("size", [1e-15, 0.1])
def test_a_changed_value_is_named(results, capsys, size):
    def change(dataset):
        dataset["singular_value"][2, 0, 1, 0] *= 1 + size

    _change(results / "measurements/two.nc", change)
    assert main(["verify", str(results), "--share", "1"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "two differs in singular_value" in error
    assert "one" not in error.partition("Allowed")[0].replace("one of", "")


@pytest.mark.parametrize(("size", "code"), [(1e-6, 0), (0.1, 1)])
def test_other_versions_are_allowed_rounding_only(results, capsys, size, code):
    def change(dataset):
        dataset["network_output"] = dataset["network_output"] * (1 + size)
        dataset.attrs["versions"] = "{}"

    _change(results / "measurements/one.nc", change)
    assert main(["verify", str(results), "--share", "1"]) == code
    captured = capsys.readouterr()
    assert ("agrees to" in captured.out) == (code == 0)
    assert ("one differs in network_output" in captured.err) == (code == 1)


def test_a_variable_that_is_gone_is_named(results, capsys):
    path = results / "measurements/three.nc"
    without = read_dataset(path).drop_vars("input_norm")
    path.unlink()
    write_dataset(without, path)
    assert main(["verify", str(results), "--share", "1"]) == 1
    assert "three differs in input_norm" in capsys.readouterr().err


def test_the_unfinished_file_of_a_job_is_no_run(results, capsys):
    (results / "measurements/.one.4242.partial.nc").write_bytes(b"half")
    assert main(["verify", str(results), "--share", "1"]) == 0
    assert capsys.readouterr().out.startswith("3 of 3 measured runs")


def test_a_folder_that_cannot_be_written_to_is_refused(results, capsys, monkeypatch):
    # Root may write anywhere, so the check's answer is given here.
    monkeypatch.setattr("flatness.command.verify.obstacle", lambda folder: f"{folder} is full")
    assert main(["verify", str(results)]) == 1
    assert "is full. Allowed: a folder that you may write to" in capsys.readouterr().err


def test_runs_without_checkpoints_are_said_to_be_unverified(results, capsys):
    (results / "runs/one/checkpoints.safetensors").unlink()
    assert main(["verify", str(results), "--share", "1"]) == 0
    assert "one: not verified, its checkpoints were not kept" in capsys.readouterr().out


def test_a_draw_of_runs_without_checkpoints_is_no_success(results, capsys):
    for name in RUNS:
        (results / f"runs/{name}/checkpoints.safetensors").unlink()
    assert main(["verify", str(results), "--share", "1"]) == 1
    error = capsys.readouterr().err
    assert "nothing was verified, because the checkpoints of one and 2 more were not kept" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "RESULTS nowhere: holds no measurements"),
        ([".", "--share", "0"], "holds no measurements"),
        (["x" * 300], "holds no measurements"),
    ],
)
def test_what_cannot_be_verified_is_refused(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["verify", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("share", ["0", "1.5", "nan"])
def test_a_share_out_of_range_is_refused(share, results, capsys):
    assert main(["verify", str(results), "--share", share]) == 1
    assert f"--share {float(share)}. Allowed" in capsys.readouterr().err
