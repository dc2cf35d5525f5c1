"""Whatever stands in a configuration: a table of runs, or one line for each mistake."""

import copy
import datetime
import re
from pathlib import PurePosixPath

import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from flatness.errors import SettingsError
from flatness.settings import load_settings, runs_of_figure, table_of_runs, training_plan

_NAMES = st.text(max_size=8) | st.sampled_from(["mlp", "../up", "a/b", ".", "", "é", "a b", "{x}"])
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([-1, 0, 1, 2, 10**30, 1e-300, 1e300])
    | _NAMES
    | st.sampled_from([datetime.date(2020, 1, 1), b"bytes", "1e-3", "none", "all", "auto"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=5,
)


def _places(node, path=()):
    """The path of every value in a configuration, down to its leaves."""
    yield path
    if isinstance(node, dict):
        for name, child in node.items():
            yield from _places(child, (*path, name))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _places(child, (*path, index))


@pytest.fixture(scope="module", params=["config.yaml", "demo.yaml"])
def shipped(request, root):
    return yaml.safe_load((root / "config" / request.param).read_text())


def _change(draw, configuration):
    """Set, delete or add something somewhere."""
    path = draw(st.sampled_from([path for path in _places(configuration) if path]))
    *above, last = path
    node = configuration
    for step in above:
        node = node[step]
    how = draw(st.sampled_from(["set", "delete", "add", "like another"]))
    if how == "set":
        node[last] = draw(_VALUES)
    elif how == "delete":
        del node[last]
    elif how == "add" and isinstance(node, dict):
        node[draw(_NAMES)] = draw(_VALUES)
    else:
        other = draw(st.sampled_from([path for path in _places(configuration) if path]))
        value = configuration
        for step in other:
            value = value[step]
        node[last] = copy.deepcopy(value)


@settings(
    max_examples=1000,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_configuration_gives_runs_or_lines(shipped, data):
    configuration = copy.deepcopy(shipped)
    for _ in range(data.draw(st.integers(1, 3))):
        _change(data.draw, configuration)
    try:
        accepted = load_settings(configuration, "my.yaml")
    except SettingsError as error:
        event("refused")
        for line in str(error).split("\n"):
            assert line.startswith("my.yaml: "), line
            # A key or name, what is wrong with it, and what to do.
            assert re.fullmatch(r"my\.yaml: \S.*[.)] [A-Z].*[.?]", line), line
        return
    event("accepted")
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
    for figure in accepted.figures.drawn().values():
        runs_of_figure(runs, figure)
