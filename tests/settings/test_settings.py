"""The typed configuration and the table of runs."""

import copy
import subprocess
import sys

import pytest
import yaml
from pydantic import ValidationError

from flatness.errors import SettingsError
from flatness.run_id import shortest
from flatness.settings import (
    load_settings,
    read_configuration,
    runs_of_figure,
    table_of_runs,
    training_plan,
)
from flatness.settings.datasets import HERE_ONLY
from flatness.settings.keys import ANY_INDEX, ANY_NAME, tree

# The paper has the package's quantities alone, and plain SGD.
ELSEWHERE = {"quantities", "optimiser"}


@pytest.fixture(params=["config.yaml", "demo.yaml"])
def shipped(request, root):
    return read_configuration([root / "config" / request.param])


def test_the_papers_configuration_is_complete(root):
    """Every key that applies is written out, so that a reader sees all there is.

    But for those that are of use on some machines only, or in the place of what the paper has.
    """
    paper = yaml.safe_load((root / "config/config.yaml").read_text())

    def walk(key, node, path):
        for name, child in key.children.items():
            if name == ANY_INDEX:
                for element in node:
                    walk(child, element, f"{path}[]")
            elif name == ANY_NAME:
                for chosen, element in node.items():
                    walk(child, element, f"{path}.{chosen}")
            elif name not in HERE_ONLY | ELSEWHERE:
                assert name in node, f"{path}.{name}"
                walk(child, node[name], f"{path}.{name}")
        for tag, variant in key.variants.items():
            if tag in (node.get("source"), node.get("name")):
                walk(variant, node, path)

    walk(tree(), paper, "")


def test_every_key_has_a_sentence():
    for path, info in tree().rows():
        assert info.description, path
        assert info.description.endswith("."), path


def test_settings_are_frozen(shipped):
    settings = load_settings(shipped, "config")
    with pytest.raises(ValidationError, match="frozen"):
        settings.device = "cpu"


def test_where_this_machine_keeps_images_is_not_published(root):
    config = yaml.safe_load((root / "config/config.yaml").read_text())
    config["datasets"]["cifar10"].pop("image_folder", None)
    plain = load_settings(config, "config")
    config["datasets"]["cifar10"]["image_folder"] = "here"
    here = load_settings(config, "config")
    assert here.datasets["cifar10"].image_folder == "here"
    assert here.published() == plain.published()
    assert here.published(exclude_none=True) == plain.model_dump(exclude_none=True)
    assert here.datasets["cifar10"].identity() == plain.datasets["cifar10"].identity()


def test_the_paper_has_fifty_runs_with_stable_ids(root):
    config = yaml.safe_load((root / "config/config.yaml").read_text())
    table = table_of_runs(load_settings(config, "config"))
    assert len(table) == 50
    assert "vgg10_cifar10_lr0.1_bs20_seed0" in table
    assert "mlp_fashionmnist_lr0.05_bs20_seed4" in table
    assert all(run.id == name for name, run in table.items())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1.0, "1"),
        (20.0, "20"),
        (1e-5, "1e-05"),
        (0.30000000000000004,) * 2,
    ],
)
def test_numbers_have_one_spelling_that_reads_back(value, text):
    assert shortest(value) == str(text)
    assert float(shortest(value)) == value


def test_adding_a_seed_leaves_other_plans_alone(shipped):
    settings = load_settings(shipped, "config")
    more = copy.deepcopy(shipped)
    for study in more["studies"].values():
        study["seeds"].append(99)
    extended = load_settings(more, "config")
    table, larger = table_of_runs(settings), table_of_runs(extended)
    assert set(table) < set(larger)
    for name, run in table.items():
        assert training_plan(settings, run) == training_plan(extended, larger[name])


@pytest.mark.parametrize(("device", "expected"), [("auto", 100), ("cuda", 100), ("cpu", 0)])
def test_graphs_belong_to_runs_that_may_be_on_a_gpu(root, device, expected):
    config = yaml.safe_load((root / "config/config.yaml").read_text()) | {"device": device}
    settings = load_settings(config, "config")
    run = next(iter(table_of_runs(settings).values()))
    assert training_plan(settings, run)["iterations_per_graph"] == expected


def test_figures_show_the_runs_of_the_papers_design(root):
    settings = load_settings(yaml.safe_load((root / "config/config.yaml").read_text()), "config")
    table = table_of_runs(settings)
    shown = {
        name: {
            (run.study, run.learning_rate, run.batch_size) for run in runs_of_figure(table, figure)
        }
        for name, figure in settings.figures.items()
    }
    vgg, mlp = "vgg10_cifar10", "mlp_fashionmnist"
    assert shown["fig1"] == {(vgg, 0.05, 20), (vgg, 0.1, 20), (vgg, 0.2, 20)}
    assert shown["fig2"] == {(vgg, 0.1, 8), (vgg, 0.1, 20), (vgg, 0.1, 32)}
    assert shown["figE7"] == {(mlp, 0.1, 8), (mlp, 0.1, 20), (mlp, 0.1, 32)}
    assert shown["figE8"] == {(mlp, 0.05, 20), (mlp, 0.1, 20), (mlp, 0.2, 20)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["training"].update(threads=True), "training.threads = True is not allowed"),
        (lambda c: c.update(device="gpu"), "device = 'gpu' is unknown"),
        (lambda c: c.update(studies=None), "studies = None is not allowed"),
        (lambda c: c.pop("name"), "name is missing (Results go to RESULTS/NAME). Add it"),
        (lambda c: c["analysis"].update(confidence=1), "analysis.confidence = 1 is not allowed"),
        (lambda c: c["analysis"].update(confidence=float("nan")), "analysis.confidence"),
        (lambda c: c.update(name={1, 2}), "name is a set that JSON cannot hold"),
    ],
)
def test_further_mistakes(shipped, change, message):
    change(shipped)
    with pytest.raises(SettingsError) as caught:
        load_settings(shipped, "my.yaml")
    assert str(caught.value).startswith(f"my.yaml: {message}")
    assert "\n" not in str(caught.value)


def test_reading_the_configuration_does_not_load_torch(root):
    code = (
        "import sys, flatness.jobs.preflight, flatness.jobs.stages, flatness.settings;"
        "heavy = {'torch', 'pandas', 'xarray', 'matplotlib'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
