"""One analysed run: where it is read from, its curves, and what they end with."""

import numpy as np
import pytest

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.groups import by_study, by_value, excluded, labels, that_count
from flatness.errors import StorageError
from flatness.experiment.schedule import checkpoint_iterations
from flatness.run_id import run_id
from tests.analysis.made_up import ITERATIONS, analysed, analysed_run, settings_of


def with_schedule(iteration, **curves) -> AnalysedRun:
    """A run with other checkpoints than made-up runs have, and these curves."""
    data = analysed_run().isel(checkpoint=slice(0, 1)).drop_vars("iteration")
    data = data.isel(checkpoint=[0] * len(iteration))
    data = data.assign_coords(iteration=("checkpoint", list(iteration)))
    return AnalysedRun(
        data.assign({name: ("checkpoint", np.array(c, float)) for name, c in curves.items()})
    )


def test_it_says_what_its_file_says():
    data = analysed_run(study="a_lr0.5_study", learning_rate=0.25, batch_size=8, seed=3)
    run = AnalysedRun(data)
    assert (run.id, run.study) == (data.attrs["run"], "a_lr0.5_study")
    assert run.setting == (run.learning_rate, run.batch_size) == (0.25, 8)
    assert (run.seed, run.loss, run.dataset, run.outputs) == (3, "mse", "numbers", 10)
    assert run.network == {"name": "mlp", "activation": "tanh"}
    assert (run.iterations, run.iteration.tolist()) == (6000, list(ITERATIONS))
    assert run.settings == settings_of(data)
    assert (run.learning_rate_in_mse, run.rate_in_words) == (0.25, "0.25 (mse)")
    assert repr(run) == "<AnalysedRun a_lr0.5_study_lr0.25_bs8_seed3: 8 checkpoints>"


@pytest.mark.parametrize(("rate", "text"), [(0.1, "0.1"), (1.0, "1"), (1e-05, "1e-05")])
def test_files_that_do_not_name_their_study_have_it_in_their_id(rate, text):
    for study in ("mlp", "vgg_lr0.1_bs20_seed0", "a-b_c"):
        data = analysed_run(learning_rate=rate, seed=7)
        del data.attrs["study"]
        data.attrs["run"] = run_id(study, rate, 20, 7)
        assert data.attrs["run"] == f"{study}_lr{text}_bs20_seed7"
        assert AnalysedRun(data).study == study


def test_curves_are_those_of_the_sample_set():
    data = analysed_run()
    run = AnalysedRun(data)
    for sample_set in ("train", "test", "misclassified"):
        expected = data["mls"].sel(sample_set=sample_set)
        assert np.array_equal(run.curve("mls", sample_set), expected)
        expected = data["slack"].sel(sample_set=sample_set, inequality="b_c")
        assert np.array_equal(run.slack("b_c", sample_set), expected)
    assert np.array_equal(run.curve("mls"), run.curve("mls", "train"))
    assert np.array_equal(run.curve("test_loss", "train"), data["test_loss"])


def test_what_a_file_does_not_hold():
    data = analysed_run()
    data["mls"].attrs["absent"] = "why"
    run = AnalysedRun(data)
    assert (run.absent("mls"), run.absent("nmls")) == ("why", None)
    assert ("mls" in run, "mlss" in run) == (True, False)
    line = r"seed0: its file holds no 'mlss'\. Allowed: .* mls,.* Did you mean 'mls'\? Choose"
    with pytest.raises(StorageError, match=line):
        run.curve("mlss")
    assert np.isnan(run.slack("unknown")).all()
    assert run.slack("unknown").shape == (8,)


@pytest.mark.parametrize(
    ("iteration", "expected"),
    [
        # 80 is not after four fifths of 100.
        ((0, 10, 80, 81, 90, 100), (81, 90, 100)),
        ((0, 1, 100), (100,)),
        ((0, 79, 99), (99,)),
        ((0,), (0,)),
        # In floating point 0.8 * 15 is 12.000000000000002.
        ((0, 12, 13, 15), (13, 15)),
    ],
)
def test_the_end_is_the_last_fifth_and_always_the_last_checkpoint(iteration, expected):
    run = with_schedule(iteration)
    assert tuple(run.iteration[run.end()]) == expected
    assert tuple(run.iteration[run.end(last_checkpoint=True)]) == iteration[-1:]


def test_a_final_value_is_the_mean_over_the_end():
    run = with_schedule((0, 10, 80, 81, 90, 100), test_loss=[9, 8, 7, 3, 4, 8])
    assert run.final("test_loss") == 5
    assert run.final("test_loss", last_checkpoint=True) == 8
    run = AnalysedRun(analysed_run())
    for sample_set, column in (("train", 0), ("test", 1)):
        # Of 0 to 6000, the checkpoints after 4800.
        assert run.final("mls", sample_set) == run.data["mls"].to_numpy()[-2:, column].mean()


@pytest.mark.parametrize("broken", [[np.nan, 1, 1], [1, -np.inf, 1], [np.inf, -np.inf, 1]])
def test_one_value_that_is_not_finite_makes_it_not_finite(broken):
    run = with_schedule((0, 81, 90, 100), test_loss=[1, *broken], train_loss=[np.nan, 1, 2, 3])
    assert not np.isfinite(run.final("test_loss"))
    assert run.final("test_loss", last_checkpoint=True) == 1
    assert run.final("train_loss") == 2


@pytest.mark.parametrize(
    ("iterations", "early", "late"), [(150_000, 20, 40), (3600, 8, 12), (1000, 7, 7), (10, 5, 4)]
)
def test_evenly_spaced_checkpoints_are_multiples_of_the_spacing(iterations, early, late):
    schedule = checkpoint_iterations(iterations, early, late)
    run = with_schedule(schedule)
    run.iterations, run.settings["late_checkpoints"] = iterations, late
    found = run.iteration[run.evenly_spaced()]
    assert len(found) == late < len(schedule)
    assert abs(found * late / iterations - range(1, late + 1)).max() <= 0.51 * late / iterations


def test_interpolation_begins_at_the_first_checkpoint_above_the_threshold():
    def run(accuracy, **options) -> AnalysedRun:
        whole = np.r_[accuracy, np.full(4, accuracy[-1])]
        return AnalysedRun(analysed_run(train_accuracy=whole, **options))

    reaching = run((0.1, 0.5, 0.9995, 1.0))
    assert reaching.interpolation(0.999) == 1000
    assert reaching.interpolation(1.0) == 2000
    assert run((0, 0, 0, 0)).interpolation(0.999) is None
    assert reaching.interpolates(0.999)
    assert not run((0, 0, 0, 0)).interpolates(0.999)
    assert not run((0, 0, 0, 1), diverged=True).interpolates(0.999)


def test_runs_that_do_not_count_are_named_with_the_reason():
    runs = analysed([analysed_run(), analysed_run(seed=1, diverged=True)])
    assert that_count(runs) == runs[:1]
    assert excluded(runs) == {runs[1].id: "the loss is not finite at iteration 7"}


def test_groups_of_runs():
    of = [(0.2, 20, 0), (0.05, 20, 1), (0.2, 8, 1)]
    runs = analysed(
        analysed_run(study=f"study{rate}", learning_rate=rate, batch_size=size, seed=seed)
        for rate, size, seed in of
    )
    assert by_value(runs, "learning_rate") == {0.05: [runs[1]], 0.2: [runs[0], runs[2]]}
    assert list(by_value(runs, "batch_size")) == [8, 20]
    assert by_study(runs) == {"study0.2": [runs[0], runs[2]], "study0.05": [runs[1]]}
    seeds, settings = labels(runs)
    assert seeds.tolist() == [0, 1, 1]
    assert settings.tolist() == [2, 0, 1]  # in the order of rates, then sizes
