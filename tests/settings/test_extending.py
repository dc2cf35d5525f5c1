"""Configurations that say only what differs: which values count, and what is refused."""

import hashlib
import json

import pytest
import yaml

from flatness.errors import SettingsError
from flatness.settings import (
    load_settings,
    read_configuration,
    read_settings,
    table_of_runs,
    training_plan,
)

# Of all training plans and datasets, recorded when each of these files still said everything. Runs
# that were computed with them are found again.
IDENTITIES = {
    "config.yaml": "4b6f2533a8a98b9d",
    "demo.yaml": "c7656c265201c6a8",
    "laptop.yaml": "f85c5afa24b0c7cc",
}

BASE = """
name: base
datasets:
  photos: {source: digits, outputs: 10, samples: 50}
studies:
  one:
    network: {name: mlp, activation: tanh, hidden_width: 30}
    seeds: [0, 1, 2]
  two: {seeds: [5]}
figures: {fig1: {study: one}, fig2: {study: one}}
"""


@pytest.fixture
def extended(tmp_path):
    """What a file says that extends `BASE`."""
    (tmp_path / "base.yaml").write_text(BASE)

    def read(text: str, **given):
        (tmp_path / "my.yaml").write_text(f"extends: base.yaml\n{text}")
        return read_configuration([tmp_path / "my.yaml"], given)

    return read


@pytest.fixture
def refusal(tmp_path):
    """The line with which my.yaml is refused, given what some files say."""

    def read(**files: str) -> str:
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        with pytest.raises(SettingsError) as caught:
            read_configuration([tmp_path / "my.yaml"])
        line = str(caught.value).replace(f"{tmp_path}/", "")
        assert "\n" not in line
        assert " Allowed" in line
        return line

    return read


def test_what_a_file_does_not_say_is_that_of_the_other(extended):
    content = extended("name: mine\nstudies: {one: {seeds: [7]}}")
    expected = yaml.safe_load(BASE) | {"name": "mine"}
    expected["studies"]["one"]["seeds"] = [7]
    assert content == expected


def test_mappings_gain_keys_and_keep_their_order(extended):
    content = extended("studies: {three: {seeds: [1]}, one: {loss: mse}}")
    assert list(content["studies"]) == ["one", "two", "three"]
    assert content["studies"]["one"]["loss"] == "mse"
    assert content["studies"]["one"]["seeds"] == [0, 1, 2]


def test_another_network_or_source_keeps_nothing_of_the_first(extended):
    text = "studies: {one: {network: {name: vgg10}}}\ndatasets: {photos: {source: image_folder}}"
    content = extended(text)
    assert content["studies"]["one"]["network"] == {"name": "vgg10"}
    assert content["studies"]["one"]["seeds"] == [0, 1, 2]
    assert content["datasets"]["photos"] == {"source": "image_folder"}


def test_the_same_network_keeps_its_other_options(extended):
    for text in ("{hidden_width: 40}", "{name: mlp, hidden_width: 40}"):
        content = extended(f"studies: {{one: {{network: {text}}}}}")
        expected = {"name": "mlp", "activation": "tanh", "hidden_width": 40}
        assert content["studies"]["one"]["network"] == expected


def test_without_removes_before_anything_is_added(extended):
    content = extended("without: [studies, figures.fig2]\nstudies: {two: {seeds: [9]}}")
    assert content["studies"] == {"two": {"seeds": [9]}}
    assert content["figures"] == {"fig1": {"study": "one"}}
    assert "without" not in content
    assert "extends" not in content


def test_the_command_line_counts_most(extended):
    content = extended("name: mine", name="theirs", studies={"one": {"network": {"name": "vgg10"}}})
    assert content["name"] == "theirs"
    assert content["studies"]["one"]["network"] == {"name": "vgg10"}


def test_a_chain_across_folders(tmp_path):
    """Each name is relative to the file that says it."""
    (tmp_path / "variants").mkdir()
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "variants/middle.yaml").write_text("extends: ../base.yaml\nname: middle\nseeds: 1")
    (tmp_path / "my.json").write_text('{"extends": "variants/middle.yaml", "seeds": 2}')
    content = read_configuration([tmp_path / "my.json"])
    assert (content["name"], content["seeds"]) == ("middle", 2)
    assert content["datasets"] == yaml.safe_load(BASE)["datasets"]


def test_several_files_are_laid_over_each_other(tmp_path):
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "one.yaml").write_text("extends: base.yaml\nname: one")
    (tmp_path / "two.yaml").write_text("studies: {one: {seeds: [3]}}")
    content = read_configuration([tmp_path / "one.yaml", tmp_path / "two.yaml"])
    assert content["name"] == "one"
    assert content["studies"]["one"]["seeds"] == [3]
    assert content["studies"]["two"]["seeds"] == [5]


def test_circles_are_refused(refusal):
    line = refusal(my="extends: other.yaml", other="extends: ./my.yaml")
    assert line.startswith("other.yaml: extends = './my.yaml' leads back")
    assert refusal(my="extends: my.yaml").startswith("my.yaml: extends = 'my.yaml' leads back")


def test_what_cannot_be_extended(refusal):
    line = refusal(my="extends: absent.yaml")
    assert line.startswith("my.yaml: extends = 'absent.yaml' names no file (absent.yaml).")
    assert refusal(my="extends: [a, b]").startswith("my.yaml: extends = ['a', 'b'] is not allowed")
    assert refusal(my="extends:").startswith("my.yaml: extends = None is not allowed")
    assert refusal(my="extends: bad.yaml", bad="- a").startswith("bad.yaml: holds a list.")


def test_what_cannot_be_removed(refusal):
    line = refusal(my="extends: base.yaml\nwithout: [studies.ome]", base=BASE)
    assert line == (
        "my.yaml: without = 'studies.ome' is not in base.yaml. Allowed in the place of 'ome': one, "
        "two. Did you mean 'one'?"
    )
    line = refusal(my="extends: base.yaml\nwithout: [name.x]", base=BASE)
    assert "Allowed in the place of 'x': nothing. Correct or remove it." in line
    assert "is not allowed" in refusal(my="extends: base.yaml\nwithout: studies", base=BASE)
    assert "extends no other" in refusal(my="name: x\nwithout: [studies]")


@pytest.mark.parametrize("name", IDENTITIES)
def test_shipped_configurations_have_the_runs_that_they_had(root, name):
    settings = read_settings(root / "config" / name)
    plans = {name: training_plan(settings, run) for name, run in table_of_runs(settings).items()}
    sections = ("training", "measuring", "analysis", "folders")
    identity = [
        plans,
        {name: dataset.identity() for name, dataset in settings.datasets.items()},
        {key: getattr(settings, key).model_dump(mode="json") for key in sections},
        settings.name,
        settings.device,
        settings.download,
        settings.runs_per_gpu,
    ]
    text = json.dumps(identity, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == IDENTITIES[name]


def test_the_papers_configuration_is_that_of_the_published_runs(root):
    """docs/reproduction says everything, in a file of its own."""
    published = read_settings(root / "docs/reproduction/configuration.yaml")
    paper = read_settings(root / "config/config.yaml")
    assert paper.studies == published.studies
    assert paper.datasets == published.datasets
    assert paper.measuring == published.measuring
    assert paper.analysis == published.analysis
    assert paper.claims == published.claims


def test_what_extends_is_no_key_of_settings(root):
    """A mapping that was read from one file alone does not pass for the whole."""
    alone = yaml.safe_load((root / "config/laptop.yaml").read_text())
    with pytest.raises(SettingsError, match="extends is not a known key"):
        load_settings(alone, "laptop.yaml")
