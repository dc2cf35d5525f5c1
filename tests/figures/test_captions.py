"""Captions say what a figure shows as it is, and what its configuration says of it."""

import copy

import pytest

from flatness.figures.captions import caption
from flatness.settings import load_settings, read_configuration


@pytest.fixture(scope="module")
def paper(root):
    return read_configuration([root / "config/config.yaml"])


def test_the_papers_figures_have_a_number_and_a_caption(paper):
    settings = load_settings(paper, "config")
    for name, figure in settings.figures.items():
        number = f"{name[3]}.{name[4]}" if len(name) > 4 else name[3]
        assert settings.title_of(name) == f"Figure {number}"
        text = caption(name, settings)
        assert text.startswith(f"{figure.shown}: ")
        assert text.endswith(figure.caption)
        ours = "The paper has no such figure."
        assert (ours if "S" in name else f"The paper's figure {number} (") in figure.caption


def test_a_figure_without_a_caption_says_what_it_shows(paper):
    other = copy.deepcopy(paper)
    del other["figures"]["fig1"]["caption"]
    other["figures"]["fig1"]["panels"] = ["mls", "test_loss"]
    assert caption("fig1", load_settings(other, "config")) == (
        "Maximum local sensitivity, test loss over training: VGG10 (relu) on cifar10, plain SGD on "
        "mse at learning rates 0.05, 0.1, 0.2 and batch size 20."
    )


def test_other_settings_are_named_as_they_are(paper):
    other = copy.deepcopy(paper)
    study = other["studies"]["mlp_fashionmnist"]
    study["loss"] = "half_squared_error"
    study["network"]["activation"] = "tanh"
    other["datasets"]["fashionmnist"]["outputs"] = 20
    settings = load_settings(other, "config")
    assert (
        ": MLP (tanh) on fashionmnist, plain SGD on half_squared_error at learning rates 0.05, "
        "0.1, 0.2 (0.5, 1, 2 in mse) and batch size 20. "
    ) in caption("figE8", settings)
    assert ": MLP (relu) on fashionmnist, plain SGD on mse at learning rates 0.05, " in caption(
        "figE8", load_settings(paper, "config")
    )


def test_a_figure_of_several_studies_names_each(paper):
    text = caption("figS3", load_settings(paper, "config"))
    assert text.index("MLP (relu) on fashionmnist") > 0
    assert text.index("VGG10 (relu) on cifar10") > 0
