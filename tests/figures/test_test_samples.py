"""Figure 3: all and misclassified test samples."""

import numpy as np
import pytest
from drawn import assert_readable, same_files, strong, texts, thin

# As a module, or pytest would take the function for a test.
from flatness.figures import test_samples
from flatness.figures.labels import label
from made_up import analysed_run

LOOK = {"title": "Figure 3", "confidence": 0.95, "interpolation_accuracy": 0.999}


def made_up_runs(seeds=3):
    """Seed i has 60 - 7 j - i misclassified test images at checkpoint j."""
    runs = [analysed_run(network="vgg10", seed=seed) for seed in range(seeds)]
    for seed, run in enumerate(runs):
        run["misclassified_total"] = ("checkpoint", 60 - 7 * np.arange(8) - seed)
    return runs


def without_misclassified(run, checkpoints):
    """The same run, but all test images right at some checkpoints."""
    run = run.copy(deep=True)
    wrong = {"checkpoint": checkpoints, "sample_set": 2}
    for name in test_samples.QUANTITIES:
        run[name][wrong] = np.nan
    run["sample_count"] = run["sample_count"].copy(data=np.array(run["sample_count"]))
    run["sample_count"][wrong] = 0
    return run


@pytest.fixture(scope="module")
def runs():
    return made_up_runs()


@pytest.fixture(scope="module")
def figure(runs):
    return test_samples.test_sample_figure(runs, **LOOK)


def panel_of(figure, name):
    return next(panel for panel in figure.axes if panel.get_title() == label(name))


def right_axis(figure):
    return next(panel for panel in figure.axes if panel.get_ylabel().startswith("misclassified"))


@pytest.mark.parametrize("name", test_samples.LOSSES)
def test_losses_are_those_of_each_seed_and_their_mean(runs, figure, name):
    expected = np.array([run[name] for run in runs])
    assert np.array_equal(thin(panel_of(figure, name)), expected)
    assert np.allclose(strong(panel_of(figure, name)), expected.mean(0, keepdims=True))


@pytest.mark.parametrize("name", test_samples.QUANTITIES)
def test_quantities_are_drawn_on_both_sample_sets(runs, figure, name):
    by_set = [
        [run[name].sel(sample_set=sample_set) for run in runs]
        for sample_set in ("test", "misclassified")
    ]
    panel = panel_of(figure, name)
    assert np.array_equal(thin(panel), np.concatenate(by_set))
    assert np.allclose(strong(panel), np.mean(by_set, axis=1))


def test_curves_are_named(figure):
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["test samples", "misclassified test samples"]
    looks = [(line.get_color(), line.get_linestyle()) for line in figure.legends[0].get_lines()]
    drawn = [
        (line.get_color(), line.get_linestyle())
        for line in panel_of(figure, "log_volume").lines
        if line.get_linewidth() > 1.2
    ]
    assert looks == drawn
    assert [style for _, style in drawn] == ["-", "--"]
    assert right_axis(figure).lines[-1].get_linestyle() == "--"
    assert right_axis(figure).lines[-1].get_color() == drawn[1][0]


def test_the_number_of_misclassified_images_has_an_axis_of_its_own(runs, figure):
    expected = np.array([run["misclassified_total"] for run in runs])
    assert np.array_equal(thin(right_axis(figure)), expected)
    assert np.allclose(strong(right_axis(figure)), expected.mean(0))
    assert right_axis(figure).spines["right"].get_visible()
    assert "right axis beside the test loss counts all misclassified test images" in texts(figure)


def test_the_caption_says_how_many_samples_count(figure):
    assert "`test` (n = 100, solid)" in texts(figure)
    assert "at each checkpoint (n = 30, dashed)" in texts(figure)
    assert "gaps" not in texts(figure)
    assert "infinite" not in texts(figure)


def test_checkpoints_without_a_misclassified_sample_are_gaps(runs):
    figure = test_samples.test_sample_figure(
        [runs[0], without_misclassified(runs[1], [5, 7]), runs[2]], **LOOK
    )
    panel = panel_of(figure, "sqrt_sharpness")
    assert list(np.flatnonzero(np.isnan(thin(panel)).any(0))) == [5, 7]
    assert list(np.isnan(thin(panel)).sum(1)) == [0, 0, 0, 0, 2, 0]
    assert [list(np.flatnonzero(np.isnan(line))) for line in strong(panel)] == [[], [5, 7]]
    assert "At 2 of 24 checkpoints no test image is misclassified" in texts(figure)
    assert "(n = 0 to 30, dashed)" in texts(figure)


def test_no_misclassified_sample_at_any_checkpoint_is_no_failure(runs):
    figure = test_samples.test_sample_figure(
        [without_misclassified(run, range(8)) for run in runs], **LOOK
    )
    assert "At 24 of 24 checkpoints no test image is misclassified" in texts(figure)
    assert np.isnan(strong(panel_of(figure, "log_volume"))[1]).all()
    assert_readable(figure)


def test_infinite_values_are_counted_and_left_out():
    runs = made_up_runs()
    runs[1]["log_volume"][3:5, 1] = -np.inf
    runs[1]["log_volume"][0, 0] = -np.inf  # on train samples, which the figure does not show
    figure = test_samples.test_sample_figure(runs, **LOOK)
    assert "2 values are infinite (zero singular values) and not drawn." in texts(figure)
    assert np.isnan(thin(panel_of(figure, "log_volume"))).sum() == 2


def test_bands_from_three_seeds_on(figure):
    assert len(panel_of(figure, "train_loss").collections) == 1
    assert len(panel_of(figure, "log_volume").collections) == 2
    assert len(right_axis(figure).collections) == 1
    assert "95% confidence interval of the mean" in texts(figure)
    two_seeds = test_samples.test_sample_figure(made_up_runs(2), **LOOK)
    assert not any(panel.collections for panel in two_seeds.axes)
    assert "no confidence band with fewer than 3 seeds" in texts(two_seeds)


def test_interpolation_is_marked(figure):
    for panel in figure.axes:
        vertical = [line for line in panel.lines if list(line.get_xdata()) == [1000, 1000]]
        assert len(vertical) == (panel is not right_axis(figure))
    assert "99.9% (3 of 3 runs do)" in texts(figure)


def test_caption_and_provenance(figure):
    for expected in (
        *("Figure 3: VGG10 on numbers", "at learning rate 0.1 and batch size 20"),
        *("3 runs, seeds 0, 1, 2", "commit c0ffee"),
    ):
        assert expected in texts(figure)


def test_excluded_runs_are_named_and_not_averaged(runs, figure):
    diverged = analysed_run(network="vgg10", seed=9, diverged=True).isel(checkpoint=slice(3))
    with_diverged = test_samples.test_sample_figure([diverged, *runs], **LOOK)
    text = "Excluded: mlp_numbers_lr0.1_bs20_seed9: the loss is not finite at iteration 7."
    assert text in texts(with_diverged)
    assert "Excluded" not in texts(figure)
    for before, after in zip(figure.axes, with_diverged.axes, strict=True):
        assert np.array_equal(strong(before), strong(after))


def test_a_figure_of_nothing_but_excluded_runs_says_so():
    figure = test_samples.test_sample_figure([analysed_run(diverged=True)], **LOOK)
    assert "Excluded: mlp_numbers_lr0.1_bs20_seed0" in texts(figure)
    assert_readable(figure)


def test_all_text_can_be_read(figure):
    assert_readable(figure)


def test_equal_figures_are_equal_files(runs, tmp_path):
    figures = [test_samples.test_sample_figure(runs, **LOOK) for _ in range(2)]
    assert same_files(figures, tmp_path)
