"""What jobs have to do, from the settings."""

import copy

import pytest

from flatness.experiment.schedule import checkpoint_iterations
from flatness.progress.tasks import ITERATIONS_PER_CHECKPOINT, task_of
from flatness.settings import load_settings, table_of_runs
from tests.workflow.small_workflow import SMALL

RUN = "mlp_lr0.1_bs20_seed0"


@pytest.fixture(scope="module")
def task():
    """A function: what the job of a rule has to do in a study of 400 iterations."""
    config = copy.deepcopy(SMALL)
    config["studies"]["mlp"]["iterations"] = 400
    settings = load_settings(config, "config")
    runs = table_of_runs(settings)
    return lambda rule, **wildcards: task_of(rule, wildcards, settings, runs)


def test_a_training_is_its_iterations(task):
    found = task("train_run", run=RUN)
    assert (found.units, found.work, found.run) == (400, 400, RUN)
    assert f"{found.verb} {found.what}" == f"training {RUN}"


def test_measuring_is_its_checkpoints(task):
    found = task("measure_layer", run=RUN, layer="2")
    assert found.units == len(checkpoint_iterations(400, 2, 3))
    assert found.work == found.units * ITERATIONS_PER_CHECKPOINT
    assert f"{found.verb} {found.what}" == f"measuring {RUN} 2"


def test_runs_of_one_study_and_batch_size_are_alike(task):
    one, other = (task("train_run", run=name) for name in (RUN, "mlp_lr0.2_bs20_seed1"))
    assert one.alike == other.alike
    measuring = task("measure_run", run=RUN)
    assert set(one.alike) & set(measuring.alike) == {one.alike[-1]}


@pytest.mark.parametrize(
    ("rule", "wildcards"),
    [("draw_figure", {"figure": "fig1"}), ("correlate", {}), ("one_of_yours", {"run": "x"})],
)
def test_other_jobs_take_seconds(task, rule, wildcards):
    found = task(rule, **wildcards)
    assert not found.takes_long
    assert found.alike == (rule,)
