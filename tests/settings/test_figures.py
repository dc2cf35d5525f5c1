"""Figures in a configuration: kinds, names, quantities, captions, and the earlier form."""

import copy
import importlib
import inspect
import json
import re

import pytest
import torch

import flatness
from flatness.errors import SettingsError
from flatness.figures import module_name
from flatness.glossary.curves import curves
from flatness.glossary.quantities import QUANTITIES
from flatness.publication.opening import read_results, settings_of, settings_of_publication
from flatness.settings import load_settings, read_configuration, read_settings
from flatness.settings.conventions import Analysis
from flatness.settings.figures import KINDS, TARGETS

# What the eleven names of the earlier form were, by what they drew.
EARLIER = {
    "trends": ("fig1", "fig2", "figE7", "figE8"),
    "test_samples": ("fig3",),
    "chain": ("figD4",),
    "pair_grid": ("figD5", "figD6"),
    "slack": ("figS1", "figS2"),
    "lemma": ("figS3",),
}
PUBLISHED = (
    "docs/reproduction",
    "docs/variants/five_fold_rates_tanh",
    "docs/variants/five_fold_rates_longer_and_relu",
)


_PAIRS = ((0.05, 20), (0.1, 20), (0.1, 8))
_SWEEP = [{"learning_rate": rate, "batch_size": size} for rate, size in _PAIRS]
FEWER = f"studies: {{vgg10_cifar10: {{sweep: {_SWEEP}}}}}"


@pytest.fixture
def paper(root):
    return read_configuration([root / "config/config.yaml"])


@pytest.fixture
def extended(root, tmp_path):
    """The settings of a file that extends the paper's."""

    def read(text: str):
        (tmp_path / "my.yaml").write_text(f"extends: {root}/config/config.yaml\n{text}")
        return read_settings(tmp_path / "my.yaml")

    return read


def test_each_kind_has_a_function_that_takes_its_options(root):
    figures = read_settings(root / "config/config.yaml").figures.values()
    assert {type(figure) for figure in figures} == set(KINDS)
    for figure in figures:
        module = importlib.import_module(module_name(figure.kind))
        parameters = inspect.signature(getattr(module, f"{figure.kind}_figure")).parameters
        assert set(parameters) == {"runs", "title", *figure.options(Analysis())}


def test_no_figure_may_have_the_name_of_a_rule(root):
    files = [root / "Snakefile", *(root / "workflow/rules").glob("*.smk")]
    named = re.compile(r"^(?:use rule \w+ as|rule) (\w+)", re.MULTILINE)
    rules = {name for file in files for name in named.findall(file.read_text())}
    assert set(TARGETS) == rules


def test_any_name_will_do_and_is_the_title_without_another(paper):
    paper["figures"] = {"2nd-look_at_it": paper["figures"]["fig1"]}
    settings = load_settings(paper, "my.yaml")
    assert settings.title_of("2nd-look_at_it") == "Figure 1"
    del paper["figures"]["2nd-look_at_it"]["title"]
    assert load_settings(paper, "my.yaml").title_of("2nd-look_at_it") == "2nd-look_at_it"


@pytest.mark.parametrize("title", ["a\nb", "$x$", "[x]", "{x}", "<b>", "", "a|b", "x" * 101])
def test_titles_that_pages_cannot_show_are_refused(paper, title):
    paper["figures"]["fig1"]["title"] = title
    with pytest.raises(SettingsError, match=r"figures\.fig1\.title"):
        load_settings(paper, "my.yaml")


def test_what_may_be_drawn_is_one_number_per_checkpoint():
    """Of a network that has all of it: two layers, targets, and nothing estimated."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2)
    ).eval()
    found = flatness.quantities(flatness.measure(network, torch.rand(5, 4)))
    for name in QUANTITIES:
        if name in found:
            assert (found[name].dims == ()) == (name in curves()), name
    assert {"layer_mls", "layer_mean_log_volume", "mls", "nvr"} <= set(found)


@pytest.mark.parametrize("key", ["panels", "logarithmic"])
def test_a_misspelt_panel_is_answered_with_the_near_one(paper, key):
    paper["figures"]["fig1"][key] = ["train_loss", "sqrt_sharpnes"]
    with pytest.raises(SettingsError) as caught:
        load_settings(paper, "my.yaml")
    line = str(caught.value)
    assert line.startswith(f"my.yaml: figures.fig1.{key}[1] = 'sqrt_sharpnes' is no quantity that")
    assert "Did you mean 'sqrt_sharpness'?" in line


def test_lines_of_a_caption_are_joined(paper):
    paper["figures"]["fig1"]["caption"] = "One\n  and two.\n"
    assert load_settings(paper, "my.yaml").figures["fig1"].caption == "One and two."


@pytest.mark.parametrize(
    "shortened",
    [
        "name: other",
        "studies: {vgg10_cifar10: {seeds: [0, 1, 2, 3], iterations: 10}}",
        "studies: {vgg10_cifar10: {checkpoints: {early: 2, late: 3}}}",
        "studies: {mlp_fashionmnist: {network: {activation: tanh}}}",
        "datasets: {cifar10: {image_folder: here}}",
        "figures: {fig1: {x: log, title: One}}",
    ],
)
def test_captions_hold_for_the_same_networks_images_and_settings(extended, paper, shortened):
    holding = extended(shortened).figures["fig1"].caption
    assert holding == paper["figures"]["fig1"]["caption"]


@pytest.mark.parametrize(
    "other",
    [
        "studies: {vgg10_cifar10: {network: {activation: tanh}}}",
        "studies: {vgg10_cifar10: {loss: cross_entropy}}",
        FEWER,
        "datasets: {cifar10: {classes: [0, 2]}}",
        "figures: {fig1: {study: mlp_fashionmnist}}",
        "figures: {fig1: {panels: [mls]}}",
        "figures: {fig1: {kind: pair_grid, study: vgg10_cifar10}}",
    ],
)
def test_captions_are_not_inherited_where_anything_else_is_shown(extended, other):
    assert extended(other).figures["fig1"].caption is None


def test_a_variant_may_write_its_own_caption(extended):
    text = "studies: {vgg10_cifar10: {loss: cross_entropy}}\nfigures: {fig1: {caption: Mine.}}"
    assert extended(text).figures["fig1"].caption == "Mine."
    assert extended(text).figures["fig2"].caption is None


def test_the_command_line_takes_captions_away_too(root):
    given = {"studies": {"vgg10_cifar10": {"loss": "cross_entropy"}}}
    content = read_configuration([root / "config/config.yaml"], given)
    assert "caption" not in content["figures"]["fig1"]
    assert "caption" in content["figures"]["figE8"]


def earlier_form(configuration):
    """A configuration as it was written before figures had kinds."""
    earlier = copy.deepcopy(configuration)
    for figure in earlier["figures"].values():
        for key in ("kind", "title", "caption", "panels", "logarithmic", "x"):
            figure.pop(key, None)
    return earlier


def test_the_earlier_form_says_the_same(paper):
    kinds = {name: kind for kind, names in EARLIER.items() for name in names}
    earlier = earlier_form(paper)
    now, then = load_settings(paper, "my.yaml"), load_settings(earlier, "my.yaml")
    assert {name: figure.kind for name, figure in then.figures.items()} == kinds
    for name, figure in now.figures.items():
        assert figure.model_copy(update={"caption": None}) == then.figures[name]
    assert now.model_copy(update={"figures": {}}) == then.model_copy(update={"figures": {}})


def test_a_figure_of_the_earlier_form_could_be_null(paper):
    earlier = earlier_form(paper)
    earlier["figures"]["fig1"] = None
    assert "fig1" not in load_settings(earlier, "my.yaml").figures


@pytest.mark.parametrize("folder", PUBLISHED)
def test_published_configurations_can_be_read(root, folder):
    results = read_results(root / folder / "results.nc")
    written = json.loads(results.attrs["configuration"])
    settings = settings_of(results)
    kinds = {name: kind for kind, names in EARLIER.items() for name in names}
    assert list(settings.figures) == list(written["figures"])
    assert all(figure.kind == kinds[name] for name, figure in settings.figures.items())
    beside = read_settings(root / folder / "configuration.yaml")
    assert beside.studies == settings_of_publication(results).studies


def test_a_published_variant_has_no_sentence_of_the_paper(root, paper):
    """The reproduction shows the paper's settings; the variant other ones."""
    reproduction, variant, _ = (
        settings_of_publication(read_results(root / folder / "results.nc")) for folder in PUBLISHED
    )
    captions = {name: figure.caption for name, figure in reproduction.figures.items()}
    assert captions == {name: figure["caption"] for name, figure in paper["figures"].items()}
    assert [figure.caption for figure in variant.figures.values()] == [None] * len(variant.figures)
