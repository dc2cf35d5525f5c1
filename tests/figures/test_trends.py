"""Trend figures: what is drawn is what was measured."""

import json

import numpy as np
import pytest
import xarray as xr
from matplotlib import colors

from flatness.analysis.quantities import quantities
from flatness.figures.trends import PANELS, save_figure, trend_figure

ITERATIONS = [0, 500, 1000, 2000]
LOOK = {
    "title": "Figure 1",
    "compare": "learning_rate",
    "sample_set": "train",
    "confidence": 0.95,
    "interpolation_accuracy": 0.999,
}


def made_up_run(rate: float, seed: int, diverged: int = 0) -> xr.Dataset:
    """A run with random primitives, different for each rate and seed."""
    draw = np.random.default_rng([int(1000 * rate), seed])
    shape = (len(ITERATIONS), 2, 5)
    values = np.sort(draw.uniform(0.1, 2, (*shape, 3)), axis=-1)[..., ::-1]
    return xr.Dataset(
        {
            "singular_value": (("checkpoint", "sample_set", "sample", "mode"), values),
            "parameter_gradient_sq_norm": (
                ("checkpoint", "sample_set", "sample", "parameter"),
                draw.uniform(1, 9, (*shape, 2)),
            ),
            "train_loss": ("checkpoint", draw.uniform(0.01, 1, 4)),
            "train_accuracy": ("checkpoint", [0.1, 0.9, 0.9995, 1.0]),
            "test_accuracy": ("checkpoint", draw.uniform(0.5, 1, 4)),
        },
        coords={"iteration": ("checkpoint", ITERATIONS), "sample_set": ["train", "test"]},
        attrs={
            "dtype": "float32",
            "run": f"made_up_lr{rate}_seed{seed}",
            "dataset": "numbers",
            "dataset_checksum": "0123456789abcdef",
            "source": "flatness test",
            "commit": "c0ffee",
            "diverged": diverged,
            "excluded_because": "the loss is not finite at iteration 7" if diverged else "",
            "settings": json.dumps(
                {
                    "network": {"name": "mlp", "activation": "tanh"},
                    "learning_rate": rate,
                    "batch_size": 20,
                    "seed": seed,
                    "iterations": 2000,
                    "loss": "mse",
                }
            ),
        },
    )


@pytest.fixture
def runs():
    return [made_up_run(rate, seed) for rate in (0.05, 0.1, 0.2) for seed in range(3)]


def _texts(figure) -> str:
    return " ".join(text.get_text() for text in figure.texts).replace("\n", " ")


def _strong(panel):
    return [line for line in panel.lines if line.get_linewidth() > 1.5]


def _thin(panel):
    return [line for line in panel.lines if line.get_linewidth() < 0.8]


def test_each_seed_is_a_thin_line_and_the_mean_a_strong_one(runs):
    figure = trend_figure(runs, **LOOK)
    for name, panel in zip(PANELS, figure.axes, strict=True):
        expected = []
        for run in runs:
            values = run[name] if name in run else quantities(run.sel(sample_set="train"))[name]
            expected.append(values.to_numpy())
        expected = np.array(expected)
        thin = np.array([line.get_ydata() for line in _thin(panel)])
        assert np.allclose(thin, expected), name
        means = np.array([line.get_ydata() for line in _strong(panel)])
        assert np.allclose(means, expected.reshape(3, 3, -1).mean(1)), name
        assert all(list(line.get_xdata()) == ITERATIONS for line in panel.lines[:1])


def test_the_sample_set_is_a_choice(runs):
    train = trend_figure(runs, **LOOK).axes[2]
    test = trend_figure(runs, **LOOK | {"sample_set": "test"}).axes[2]
    assert not np.allclose(_strong(train)[0].get_ydata(), _strong(test)[0].get_ydata())


def test_bands_from_three_seeds_on(runs):
    assert len(trend_figure(runs, **LOOK).axes[0].collections) == 3
    two_seeds = [run for run in runs if "seed2" not in run.attrs["run"]]
    figure = trend_figure(two_seeds, **LOOK)
    assert len(figure.axes[0].collections) == 0
    assert "no confidence band with fewer than 3 seeds" in _texts(figure)
    assert "95% confidence interval of the mean" in _texts(trend_figure(runs, **LOOK))


def test_interpolation_is_marked_in_every_panel(runs):
    figure = trend_figure(runs, **LOOK)
    for panel in figure.axes:
        vertical = [line for line in panel.lines if list(line.get_xdata()) == [1000, 1000]]
        assert len(vertical) == 3
    assert "99.9% (9 of 9 runs do)" in _texts(figure)


def test_caption_and_provenance(runs):
    text = _texts(trend_figure(runs, **LOOK))
    for expected in (
        *("batch size 20", "9 runs, seeds 0, 1, 2", "2,000 iterations", "mlp (activation tanh)"),
        *("loss mse", "dataset numbers (SHA-256 0123456789ab)", "commit c0ffee"),
    ):
        assert expected in text


def test_excluded_runs_are_named_and_not_averaged(runs):
    clean = trend_figure(runs, **LOOK)
    figure = trend_figure([*runs, made_up_run(0.2, 9, diverged=1)], **LOOK)
    text = "Excluded: made_up_lr0.2_seed9: the loss is not finite at iteration 7."
    assert text in _texts(figure)
    assert "Excluded" not in _texts(clean)
    for one, other in zip(clean.axes, figure.axes, strict=True):
        for before, after in zip(_strong(one), _strong(other), strict=True):
            assert np.array_equal(before.get_ydata(), after.get_ydata())


def test_a_figure_of_nothing_but_excluded_runs_says_so():
    figure = trend_figure([made_up_run(0.2, 9, diverged=1)], **LOOK)
    assert "Excluded: made_up_lr0.2_seed9" in _texts(figure)


def test_infinite_values_are_counted_and_left_out(runs):
    runs[0]["singular_value"][2, 0, 0, 2] = 0
    figure = trend_figure(runs, **LOOK)
    assert "1 values are infinite (zero singular values) and not drawn" in _texts(figure)
    assert np.isnan(_thin(figure.axes[3])[0].get_ydata()[2])


def test_colours_differ_in_grey_and_lines_in_style(runs):
    lines = _strong(trend_figure(runs, **LOOK).axes[0])
    luminance = sorted(
        np.dot(colors.to_rgb(line.get_color()), [0.2126, 0.7152, 0.0722]) for line in lines
    )
    assert min(np.diff(luminance)) > 0.05
    assert len({line.get_linestyle() for line in lines}) == 3


def test_equal_figures_are_equal_files(runs, tmp_path):
    for name in ("one", "two"):
        paths = [str(tmp_path / f"{name}.{ending}") for ending in ("png", "pdf")]
        save_figure(trend_figure(runs, **LOOK), *paths)
    for ending, magic in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        content = (tmp_path / f"one.{ending}").read_bytes()
        assert content.startswith(magic)
        assert content == (tmp_path / f"two.{ending}").read_bytes()
