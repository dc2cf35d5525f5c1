"""Condensed runs give the tables of the runs themselves, to the last bit."""

import json
import shutil

import pandas as pd
import pytest
import xarray as xr

from flatness.__main__ import main
from flatness.analysis.claims import judge, sensitivity
from flatness.analysis.condensed import condense, separate
from flatness.analysis.correlations import correlations
from flatness.storage import read_dataset, write_dataset
from flatness.tables.from_condensed import write_tables
from made_up import analysed_run

REASON = "no linear layer reads the inputs"


def _run(**options):
    run = analysed_run(**options)
    run.attrs |= {"device": "cpu", "machine": "x86_64", "threads": 1, "versions": "{}"}
    return run


@pytest.fixture(scope="module")
def studies():
    """Two studies: one run diverged and ended early, one network has no bounds of Eq. 28."""
    vgg10 = [_run(study="vgg", network="vgg10", seed=seed) for seed in range(4)]
    for run in vgg10:
        for name in ("mls_bound_b", "mls_bound_c", "mls_bound_d"):
            run[name] = run[name] * float("nan")
            run[name].attrs["absent"] = REASON
    mlp = [_run(learning_rate=rate, seed=seed) for rate in (0.1, 0.2) for seed in range(4)]
    mlp.append(_run(learning_rate=0.2, seed=4, diverged=True).isel(checkpoint=slice(0, 3)))
    return {"vgg": vgg10, "mlp_numbers": mlp}


@pytest.fixture
def file(studies, tmp_path):
    """As a publication holds them."""
    condensed = condense(studies)
    analysis = {
        "confidence": 0.95,
        "bootstrap_draws": 200,
        "sample_set": "train",
        "interpolation_accuracy": 0.999,
    }
    condensed.attrs |= {
        "analysis": json.dumps(analysis),
        "claims": json.dumps({"vgg10": "vgg", "mlp": "mlp_numbers"}),
        "departures": json.dumps(["vgg: another network"]),
    }
    write_dataset(condensed, tmp_path / "results.nc")
    return tmp_path / "results.nc"


def test_everything_that_stays_is_what_it_was(studies, file):
    found = separate(read_dataset(file))
    assert list(found) == list(studies)
    for name, runs in studies.items():
        assert len(found[name]) == len(runs)
        for run, again in zip(runs, found[name], strict=True):
            left_out = set(run.variables) - set(again.variables)
            assert left_out == {"log10_left", "log10_right", "tightest_sample"}
            assert set(again.coords) == set(run.coords)
            for variable in again.variables:
                assert again[variable].equals(run[variable]), variable
                assert again[variable].dtype.kind in (run[variable].dtype.kind, "U"), variable
            assert again["mls_bound_b"].attrs.get("absent") == (REASON if name == "vgg" else None)
            assert {key: again.attrs[key] for key in run.attrs} == run.attrs


def test_tables_are_equal(studies, file):
    found = separate(read_dataset(file))
    shared = {"confidence": 0.95, "resamples": 200}
    for name, runs in studies.items():
        expected = correlations(runs, sample_set="train", **shared)
        xr.testing.assert_identical(
            correlations(found[name], sample_set="train", **shared), expected
        )
    of = {"interpolation_accuracy": 0.999, **shared}
    verdicts = judge(*studies.values(), **of)
    pd.testing.assert_frame_equal(judge(*found.values(), **of), verdicts)
    pd.testing.assert_frame_equal(
        sensitivity(*found.values(), verdicts, **of), sensitivity(*studies.values(), verdicts, **of)
    )


def test_the_command_compares_with_what_is_published(file, tmp_path, capsys):
    published = tmp_path / "published"
    published.mkdir()
    write_tables(read_dataset(file), published)
    command = ["tables", str(file), "--output", str(tmp_path / "new"), "--compare", str(published)]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 + 1 + 2 * 3
    assert all("the same as in" in line for line in lines)
    claims = published / "claims.csv"
    claims.write_text(claims.read_text().replace("reproduced", "disproved", 1))
    (published / "correlations_vgg.tex").unlink()
    (published / "of_nobody.csv").touch()
    (tmp_path / "new/notes.txt").touch()  # beside the tables, none of them
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "claims.csv, correlations_vgg.tex, of_nobody.csv differ" in error
    assert error.count("\n") == 1


def test_other_files_are_refused(file, tmp_path, capsys):
    command = ["--output", str(tmp_path / "new")]
    write_dataset(xr.Dataset({"slack": ("sample", [1.0])}), tmp_path / "other.nc")
    for name, message in (
        ("other.nc", "holds no condensed runs"),
        ("absent.nc", "no such file"),
    ):
        assert main(["tables", str(tmp_path / name), *command]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    in_the_way = shutil.copyfile(file, tmp_path / "in_the_way")
    assert main(["tables", str(file), "--output", str(in_the_way / "new")]) == 1
    assert "--output" in capsys.readouterr().err
