"""Lemma A.1: the gap between Hessian trace and sharpness."""

import numpy as np
import pytest

from flatness.figures.lemma import BINS, COLORS, lemma_figure
from tests.analysis.made_up import ITERATIONS, analysed, analysed_run
from tests.figures.drawn import assert_readable, same_files, texts

LOOK = {"title": "Lemma A.1", "sample_set": "train"}
PIECEWISE = "the network is piecewise linear in the parameters of each layer"
RESIDUAL = np.geomspace(1, 0.01, 8)[:, None]


def smooth_run(seed=0, study="mlp_numbers", factor=3, error=0, **settings):
    """A gap that is `factor` times the residual."""
    return analysed_run(
        study=study,
        seed=seed,
        mean_residual_norm=RESIDUAL,
        hessian_gap=factor * RESIDUAL,
        hessian_trace_standard_error=error,
        **settings,
    )


def piecewise_linear_run(seed=0, gap=0):
    return analysed_run(study="vgg10_numbers", network="vgg10", seed=seed, hessian_gap=gap)


def points(panel):
    """Scattered points, (points, 2)."""
    scattered = [c for c in panel.collections if c.get_array() is not None]
    return np.concatenate([collection.get_offsets() for collection in scattered])


def shaded(panel):
    """Edges and heights of the shaded bins."""
    (steps,) = panel.patches
    return steps.get_data().edges, steps.get_data().values


def guide(panel):
    """The dashed line's ends, (2,) and (2,)."""
    (line,) = [line for line in panel.lines if line.get_linestyle() == "--"]
    return line.get_xdata(), line.get_ydata()


def colorbar(figure):
    return [panel for panel in figure.axes if panel.get_ylabel().startswith("progress")]


@pytest.fixture(scope="module")
def runs():
    runs = [analysed_run(seed=seed) for seed in range(2)]
    return [*runs, piecewise_linear_run(0), piecewise_linear_run(1)]


@pytest.fixture(scope="module")
def figure(runs):
    return lemma_figure(analysed(runs), **LOOK)


def test_every_checkpoint_of_every_run_is_a_point(runs, figure):
    panel = figure.axes[0]
    expected = [
        np.transpose(
            [run[name].sel(sample_set="train") for name in ("mean_residual_norm", "hessian_gap")]
        )
        for run in runs[:2]
    ]
    assert np.array_equal(points(panel), np.concatenate(expected))
    assert panel.get_xscale() == panel.get_yscale() == "log"
    assert panel.get_ylabel() == r"$|\mathrm{Tr}\,\nabla^2 L - S|$"
    assert panel.get_xlabel() == r"$\langle\|f(x) - y\|\rangle$"
    assert len(panel.lines) == 1


def test_colours_are_the_progress_of_training(figure):
    scattered = [c for c in figure.axes[0].collections if c.get_array() is not None]
    (collection,) = scattered
    assert np.allclose(collection.get_array(), np.tile(ITERATIONS, 2) / 6000)
    assert collection.get_clim() == (0, 1)
    assert collection.get_cmap() == COLORS
    (bar,) = colorbar(figure)
    assert bar.get_ylim() == (0, 1)


def test_colours_grow_lighter_but_stay_visible_on_white():
    luminance = COLORS(np.linspace(0, 1, 20))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0).all()
    assert luminance[-1] < 0.8


def test_the_guide_has_slope_one_and_the_factor_of_the_points():
    panel = lemma_figure(analysed([smooth_run(0, factor=2), smooth_run(1, factor=8)]), **LOOK).axes[
        0
    ]
    x, y = guide(panel)
    assert np.allclose(x, [0.01, 1])
    assert np.allclose(y, 4 * x)


def test_shading_ends_at_two_standard_errors_where_the_trace_is_estimated():
    """Distances go from 1 down to 0.01: the last three lie in the bins from the left."""
    error = np.zeros((8, 1))
    error[5:] = [[0.01], [0.001], [0.002]]
    panel = lemma_figure(analysed([smooth_run(error=error)]), **LOOK).axes[0]
    edges, heights = shaded(panel)
    bottom = panel.get_ylim()[0]
    assert len(heights) == BINS
    assert np.allclose(edges[[0, -1]], [0.01, 1])
    assert np.allclose(np.diff(np.log(edges)), np.log(100) / BINS)
    for residual, each in zip(RESIDUAL[5:, 0], error[5:, 0], strict=True):
        (position,) = np.flatnonzero((edges[:-1] <= residual * 1.0001) & (residual < edges[1:]))
        assert np.allclose(heights[position], max(2 * each, bottom))
    assert np.allclose(heights[edges[:-1] > RESIDUAL[4, 0]], bottom)


def test_the_shading_is_the_median_of_neighbouring_points():
    runs = [smooth_run(seed, error=error) for seed, error in enumerate((0.1, 0.2, 0.9))]
    _, heights = shaded(lemma_figure(analysed(runs), **LOOK).axes[0])
    assert np.allclose(heights[[0, -1]], 0.4)


def test_an_exact_trace_is_not_shaded():
    panel = lemma_figure(analysed([smooth_run()]), **LOOK).axes[0]
    assert np.allclose(shaded(panel)[1], panel.get_ylim()[0])


def test_a_study_without_any_gap_has_no_panel_and_the_caption_says_why(figure):
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == ["MLP (tanh) on numbers\n(mlp_numbers)", ""]
    text = f"vgg10_numbers has no panel: zero at 16 of 16 checkpoints: {PIECEWISE}."
    assert text in texts(figure)


def test_zero_gaps_among_others_are_counted():
    gap = np.ones((8, 1))
    gap[[2, 4]] = 0
    figure = lemma_figure(
        analysed([piecewise_linear_run(0, gap), piecewise_linear_run(1, 1)]), **LOOK
    )
    assert len(points(figure.axes[0])) == 14
    assert "vgg10_numbers: zero at 2 of 16 checkpoints, not drawn." in texts(figure)
    assert PIECEWISE not in texts(figure)


def test_unknown_gaps_are_counted_with_the_reason():
    gap = np.ones((8, 1))
    gap[3:], gap[6] = np.nan, np.inf
    run = piecewise_linear_run(0, gap)
    figure = lemma_figure(analysed([run]), **LOOK)
    assert len(points(figure.axes[0])) == 3
    assert "vgg10_numbers: unknown at 5 of 8 checkpoints (not finite)." in texts(figure)
    none = piecewise_linear_run(0, np.nan)
    none["hessian_gap"].attrs["absent"] = "not asked for"
    text = "vgg10_numbers has no panel: unknown at 8 of 8 checkpoints (not asked for)."
    assert text in texts(lemma_figure(analysed([none]), **LOOK))


def test_zero_or_unknown_everywhere_names_both():
    gap = np.zeros((8, 1))
    gap[7] = np.nan
    figure = lemma_figure(analysed([piecewise_linear_run(0, gap)]), **LOOK)
    assert (
        f"zero at 7 of 8 checkpoints: {PIECEWISE}; unknown at 1 of 8 checkpoints (not finite)."
    ) in texts(figure)


def test_a_figure_without_points_is_text_alone():
    figure = lemma_figure(analysed([piecewise_linear_run()]), **LOOK)
    assert not figure.axes
    assert "Dashed" not in texts(figure)
    assert_readable(figure)


def test_studies_have_panels_of_their_own():
    names = ["mlp_one", "mlp_two", "mlp_three", "mlp_lr", "mlp_five"]
    figure = lemma_figure(
        analysed([smooth_run(seed, name) for name in names for seed in (0, 1)]), **LOOK
    )
    titles = [panel.get_title() for panel in figure.axes[:5]]
    assert titles == [f"MLP (tanh) on numbers\n({name})" for name in names]
    assert [len(points(panel)) for panel in figure.axes[:5]] == [16] * 5
    assert_readable(figure)


def test_the_sample_set_is_a_choice(runs):
    figure = lemma_figure(analysed(runs), **LOOK | {"sample_set": "test"})
    expected = np.concatenate([run["hessian_gap"].sel(sample_set="test") for run in runs[:2]])
    assert np.array_equal(points(figure.axes[0])[:, 1], expected)
    assert "sample set “test”" in texts(figure)


def test_caption_and_provenance(figure):
    for expected in (
        "Lemma A.1",
        "Shaded: up to two standard errors, where the trace is estimated",
        "Dashed: slope 1 through the geometric mean",
        "sample set “train”",
        "mlp_numbers: 2 runs, seeds 0, 1;",
        "vgg10_numbers: 2 runs, seeds 0, 1;",
        "network vgg10 (activation tanh)",
        "commit c0ffee",
    ):
        assert expected in texts(figure)


def test_excluded_runs_are_named_and_not_drawn(runs, figure):
    diverged = analysed_run(seed=9, diverged=True).isel(checkpoint=slice(3))
    with_diverged = lemma_figure(analysed([*runs, diverged]), **LOOK)
    text = "Excluded: mlp_numbers_lr0.1_bs20_seed9: the loss is not finite at iteration 7."
    assert text in texts(with_diverged)
    assert "Excluded" not in texts(figure)
    assert np.array_equal(points(with_diverged.axes[0]), points(figure.axes[0]))


def test_a_figure_of_nothing_but_excluded_runs_says_so():
    figure = lemma_figure(analysed([analysed_run(diverged=True)]), **LOOK)
    assert "mlp_numbers has no panel: no run is left." in texts(figure)
    assert "Excluded: mlp_numbers_lr0.1_bs20_seed0" in texts(figure)
    assert_readable(figure)


def test_all_text_can_be_read(figure):
    assert_readable(figure)
    assert_readable(lemma_figure(analysed([smooth_run()]), **LOOK))


def test_equal_figures_are_equal_files(runs, tmp_path):
    assert same_files([lemma_figure(analysed(runs), **LOOK) for _ in range(2)], tmp_path)
