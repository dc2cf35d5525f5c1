"""Whatever stands in a configuration: a table of runs, or one line for each mistake."""

import copy
import datetime
import re
from functools import reduce
from pathlib import PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flatness.errors import SettingsError
from flatness.settings import (
    load_settings,
    read_configuration,
    runs_of_figure,
    table_of_runs,
    training_plan,
)
from tests.settings.changed import changed, sound


@pytest.fixture(scope="module", params=["config.yaml", "demo.yaml"])
def shipped(request, root):
    return read_configuration([root / "config" / request.param])


@settings(
    max_examples=1000,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_configuration_gives_runs_or_lines(shipped, data):
    _check(data.draw(changed(shipped)))


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(configuration=sound())
def test_sound_configurations_of_any_kind_are_accepted(configuration):
    assert _check(configuration)


def _check(configuration) -> bool:
    """See that there are runs, or lines; whether it is accepted."""
    try:
        accepted = load_settings(configuration, "my.yaml")
    except SettingsError as error:
        for line in str(error).split("\n"):
            assert line.startswith("my.yaml: "), line
            assert line.isprintable(), line
            # A key or name, what is wrong with it, and what to do.
            assert re.fullmatch(r"my\.yaml: \S.*[.)] [A-Z].*[.?]", line), line
        return False
    _check_table(accepted)
    return True


UNUSUAL = {
    "date": (datetime.date(2020, 1, 1), r"name is a date that JSON cannot hold\."),
    "bytes": (b"x", r"name is a bytes that"),
    "half a character": ("\ud800", r"name is a str that"),
    "number of 5000 digits": (10**5000, r"name is a int that"),
    "date as a key": ({datetime.date(2020, 1, 1): 1}, r"name\.'?2020-01-01'? is no usable key\."),
    "too many levels": (reduce(lambda inner, _: [inner], range(60), 1), r"nested too deeply"),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_what_json_cannot_hold_is_named(shipped, case):
    value, message = UNUSUAL[case]
    with pytest.raises(SettingsError, match=rf"^my\.yaml: .*{message}.*Allowed: ") as caught:
        load_settings(shipped | {"name": value}, "my.yaml")
    assert "\n" not in str(caught.value)


def test_a_list_that_holds_itself_is_refused(shipped):
    endless = []
    endless.append(endless)
    with pytest.raises(SettingsError, match="nested too deeply"):
        load_settings(shipped | {"name": endless}, "my.yaml")


OUTSIDE = ("../up", "a/b", "/etc", "", ".", "..", ".hidden", "a\0b", "a\n", "é", "{run}", "a" * 101)


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("where", ["name", "study", "dataset", "layer", "figure", "claim"])
def test_no_name_leaves_the_results_folder(shipped, where, name):
    configuration = copy.deepcopy(shipped)
    study = next(iter(configuration["studies"].values()))
    if where == "name":
        configuration["name"] = name
    elif where == "study":
        configuration["studies"][name] = study
    elif where == "dataset":
        configuration["datasets"][name] = next(iter(configuration["datasets"].values()))
    elif where == "layer":
        study["middle_layers"] = [name]
    elif where == "figure":
        configuration["figures"][name] = configuration["figures"]["fig1"]
    else:
        configuration["claims"]["mlp"] = name
    with pytest.raises(SettingsError, match=r"^my\.yaml: "):
        load_settings(configuration, "my.yaml")


def test_names_that_differ_in_case_only_are_different_runs(shipped):
    studies = dict(shipped["studies"])
    name, study = next(iter(studies.items()))
    accepted = load_settings(shipped | {"studies": studies | {name.upper(): study}}, "my.yaml")
    _check_table(accepted)


def _check_table(accepted) -> None:
    runs = table_of_runs(accepted)
    counted = sum(len(s.sweep) * len(s.seeds) for s in accepted.studies.values())
    assert len(runs) == counted, "run ids are unique"
    for run in runs.values():
        # A run's id is one part of a path, and no part of another one's pattern.
        assert PurePosixPath(run.id).parts == (run.id,)
        assert re.fullmatch(r"[A-Za-z0-9_.+-]+", run.id), run.id
        assert run.dataset in accepted.datasets
        plan = training_plan(accepted, run)
        assert plan["iterations"] > 0
        assert plan["batch_size"] > 0
    assert PurePosixPath(accepted.name).parts == (accepted.name,)
    for figure in accepted.figures.values():
        runs_of_figure(runs, figure)
