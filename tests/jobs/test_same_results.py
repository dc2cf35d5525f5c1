"""Results of code that computes the same bits are not lost."""

import json

import pytest

from flatness.jobs import same_results, stages

_ADVICE = """\
The code of {stage} changed. If it computes the same bits as before, run
python -m tools.same_results; if not, delete the row from {file}."""


@pytest.fixture
def row(monkeypatch, tmp_path):
    """A function: let the file say one thing."""

    def write(**rows):
        monkeypatch.setattr(same_results, "FILE", tmp_path / "same_results.json")
        same_results.FILE.write_text(json.dumps(rows))
        same_results.rows.cache_clear()

    yield write
    same_results.rows.cache_clear()


def test_the_present_code_has_the_name_of_what_it_agrees_with(row):
    row(train={"as": "older", "code": "present"})
    assert same_results.known_as("train", "present") == "older"


def test_code_with_any_other_edit_has_its_own(row):
    row(train={"as": "older", "code": "present"})
    assert same_results.known_as("train", "edited") == "edited"
    assert same_results.known_as("measure", "present") == "present"


@pytest.mark.parametrize("stage", same_results.rows())
def test_the_rows_are_about_the_present_code(stage):
    script, name = stage.split()
    code = {
        "prepare_dataset": lambda: stages.preparing_code({"source": name}),
        "train_run": lambda: stages.training_code({"name": name}),
        "measure_run": lambda: stages.measuring_code({"name": name}),
    }[script]()
    expected = same_results.rows()[stage]["as"]
    assert code == expected, _ADVICE.format(stage=stage, file=same_results.FILE.name)
