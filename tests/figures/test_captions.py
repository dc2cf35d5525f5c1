"""Captions say what a figure shows as it is, and what the paper says of its own."""

import copy

import pytest
import yaml

from flatness.figures.captions import caption
from flatness.settings import load_settings
from flatness.settings.figures import Figures


@pytest.fixture(scope="module")
def paper(root):
    return yaml.safe_load((root / "config/config.yaml").read_text())


@pytest.mark.parametrize("name", Figures.model_fields)
def test_every_figure_has_a_number_a_subject_and_a_caption(paper, name):
    settings = load_settings(paper, "config")
    number = f"{name[3]}.{name[4]}" if len(name) > 4 else name[3]
    assert Figures.title(name) == f"Figure {number}"
    assert Figures.model_fields[name].description.startswith(f"Figure {number}: ")
    text = caption(name, settings)
    assert text.startswith(f"{getattr(settings.figures, name).shown}: ")
    assert text.endswith(Figures.paper(name))
    whose = f"The paper's figure {number} (" if "S" not in name else "The paper has no such figure."
    assert whose in Figures.paper(name)


def test_other_settings_are_named_as_they_are(paper):
    other = copy.deepcopy(paper)
    study = other["studies"]["mlp_fashionmnist"]
    study["loss"] = "half_squared_error"
    study["network"]["activation"] = "tanh"
    other["datasets"]["fashionmnist"]["outputs"] = 20
    settings = load_settings(other, "config")
    assert (
        ": MLP (tanh) on fashionmnist, plain SGD on half_squared_error at learning rates 0.05, "
        "0.1, 0.2 (0.5, 1, 2 in mse) and batch size 20. The paper's figure E.8 ("
    ) in caption("figE8", settings)
    assert ": MLP (relu) on fashionmnist, plain SGD on mse at learning rates 0.05, " in caption(
        "figE8", load_settings(paper, "config")
    )


def test_a_figure_of_several_studies_names_each(paper):
    text = caption("figS3", load_settings(paper, "config"))
    assert text.index("MLP (relu) on fashionmnist") > 0
    assert text.index("VGG10 (relu) on cifar10") > 0
