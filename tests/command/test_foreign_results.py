"""Results that somebody else published: what they say decides no path."""

import json

import pytest

from flatness.__main__ import main
from flatness.analysis.condensed import condense
from flatness.storage import write_dataset
from made_up import analysed_run


@pytest.mark.parametrize(
    "study", ["../escaped", "a/../../escaped", "/tmp/escaped", "", "a\n", "{}"]
)
def test_a_study_whose_name_leaves_the_folder_is_refused(study, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = analysed_run(study="mlp", seed=0)
    run.attrs |= {"device": "cpu", "machine": "x86_64", "threads": 1, "versions": "{}"}
    condensed = condense({study: [run]})
    analysis = {"confidence": 0.95, "bootstrap_draws": 100, "sample_set": "train"}
    condensed.attrs |= {"analysis": json.dumps(analysis), "claims": "{}"}
    write_dataset(condensed, "results.nc")
    assert main(["tables", "results.nc", "--output", "tables"]) == 1
    error = capsys.readouterr().err
    assert "is no name of a study. Allowed: letters" in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["results.nc"]
