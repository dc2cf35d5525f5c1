"""What is published of a run is that of its training."""

import pytest

from flatness.analysis.analysed_run import AnalysedRun
from flatness.checking import choosing
from flatness.checking.choosing import choose, seconds
from flatness.checking.one_run import compared
from flatness.publication.costs import Cost
from flatness.publication.opening import read_results
from flatness.publication.results import every_run


@pytest.fixture
def runs(sound):
    return every_run(read_results(sound / "results.nc"))


@pytest.mark.parametrize("name", ["train_loss", "sharpness", "log_volume", "mls_bound_d"])
@pytest.mark.parametrize("position", [0, 2])
def test_a_changed_number_is_found(copy, checked, change, only, name, position):
    only("run")

    def larger(results):
        results["small"][name][1, position] *= 1.05

    change(larger)
    words = ("--run", "small_lr0.2_bs20_seed0")
    code, printed, _ = checked(copy, *words)
    assert code == 1
    where = f"{name} of train" if name != "train_loss" else name
    assert f"DIFFERS: results.nc: small_lr0.2_bs20_seed0: {where} at iteration " in printed
    assert checked(copy, "--run", "small_lr0.1_bs20_seed0")[1].count("one run: as published") == 1


def test_a_run_with_the_numbers_of_another_is_found(runs):
    one, other, _ = runs
    assert not compared(one, one.data, same_images=True).differing
    (line,) = compared(one, other.data, same_images=True).differing
    assert "at iteration 1 " in line  # at iteration 0 both are the same network
    assert not compared(one, other.data.isel(checkpoint=[0]), same_images=True).differing


def test_rounding_is_allowed_and_more_is_not(runs):
    data = runs[0].data
    for size, wrong in ((1e-6, False), (0.1, True)):
        again = data.assign(sharpness=data["sharpness"] * (1 + size))
        found = compared(runs[0], again, same_images=True)
        assert bool(found.differing) == wrong
        assert "training carries roundings apart" in found.lines[-1]


def test_of_other_images_only_what_no_order_changes_is_compared(runs):
    data = runs[0].data.isel(checkpoint=[0])
    again = data.assign(sharpness=data["sharpness"] * 3)
    found = compared(runs[0], again, same_images=False)
    assert not found.differing
    assert found.same == "as published, before training"
    again = data.assign(test_loss=data["test_loss"] * 1.01)
    (line,) = compared(runs[0], again, same_images=False).differing
    assert "test_loss at iteration 0" in line


def test_what_is_not_finite_is_another_number(runs):
    data = runs[0].data
    again = data.assign(log_volume=data["log_volume"].where(data["checkpoint"] != 3))
    assert runs[0].data["log_volume"].notnull().all()
    assert compared(runs[0], again, same_images=True).differing


def _costs(training, measuring):
    return {"train_run": Cost(training), "measure_run": Cost(measuring), "prepare_dataset": Cost(5)}


def test_time_is_shared_by_iterations_and_evaluations(runs):
    (run, *_) = runs
    assert list(run.iteration) == [0, 1, 3, 10, 30, 60]
    # 60 iterations are 3 * 20 * 60 passes of an image, an evaluation of all training images 1,437.
    images = 20 * 60 / float(run.data["epoch"][-1])
    share = (3 * 20 * 3 + images * 3) / (3 * 20 * 60 + images * 6)
    expected = 5 + 80 * share + 12 * 3 / 6
    assert seconds(run, _costs(80, 12), 3) == pytest.approx(expected)
    assert seconds(run, {}, 3) is None


def test_the_run_that_gets_furthest_in_a_minute_is_chosen(runs):
    costs = {run.id: _costs(each, 10) for run, each in zip(runs, (1000, 300, 2000), strict=True)}
    part = choose(runs, costs, None, None, lambda run: True)
    assert part.run is runs[1]
    assert 0 < len(part.checkpoints) < 6
    assert part.seconds <= 60
    part = choose(runs, costs, None, None, lambda run: run is runs[0])
    assert part.run is runs[0]
    assert isinstance(part.run, AnalysedRun)
    assert choose(runs, {}, None, None, lambda run: True).run is runs[0]


def test_it_goes_no_further_than_other_processors_agree(runs, monkeypatch):
    costs = {run.id: _costs(each, 1) for run, each in zip(runs, (10, 3, 20), strict=True)}
    whole = choose(runs, costs, None, None, lambda run: True)
    assert len(whole.checkpoints) == len(whole.run.iteration)
    most = whole.checkpoints[-2]
    monkeypatch.setattr(choosing, "MOST_ITERATIONS", most)
    assert choose(runs, costs, None, None, lambda run: True).checkpoints[-1] == most
    asked = choose(runs, costs, None, whole.checkpoints[-1], lambda run: True)
    assert asked.checkpoints == whole.checkpoints


def test_a_run_of_a_cpu_is_chosen_where_there_is_one(runs):
    """The times of a run on a GPU say nothing about those on this machine."""
    costs = {run.id: _costs(each, 10) for run, each in zip(runs, (1000, 300, 2000), strict=True)}
    runs[1].data.attrs["device"] = "NVIDIA H200"
    assert choose(runs, costs, None, None, lambda run: True).run is runs[0]
    assert choose(runs, costs, runs[1].id, None, lambda run: True).run is runs[1]
    assert choose(runs, costs, None, None, lambda run: run is runs[1]).run is runs[1]
