"""Numbers in files and on the command line are what people read in them."""

import pytest

from flatness.errors import SettingsError
from flatness.settings import as_yaml, check_file, read_configuration

# As they are written, with what is read.
NUMBERS = {
    "1e-3": 0.001,
    "1E-3": 0.001,
    "1.5e3": 1500,
    "1e5": 100_000,
    "2.5e-1": 0.25,
    "-1e-2": -0.01,
    ".5e1": 5,
    "5.": 5.0,
    "0": 0,
    "0.1": 0.1,
    "1e400": float("inf"),
    "9007199254740993e0": 9007199254740992.0,
}
TEXTS = ("e5", "1e", "1e-3x", "lr1e-3", "1-e3", "08", "1.2.3")
# With what YAML reads.
DOUBTFUL = {"010": 8, "-017": -15, "00": 0, "1:00:00": 3600, "1:30": 90, "1:30.5": 90.5}


@pytest.fixture
def said(tmp_path):
    def read(text: str):
        (tmp_path / "my.yaml").write_text(text)
        return check_file(tmp_path / "my.yaml")

    return read


@pytest.mark.parametrize("written", NUMBERS)
def test_numbers_in_a_file(said, written):
    read = said(f"a: [{{b: {written}}}]")["a"][0]["b"]
    assert read == NUMBERS[written]
    assert type(read) is type(NUMBERS[written])


@pytest.mark.parametrize("written", TEXTS)
def test_texts_in_a_file(said, written):
    assert said(f"a: {written}") == {"a": written}


@pytest.mark.parametrize("written", [*NUMBERS, *DOUBTFUL])
def test_quotes_make_texts_of_numbers(said, written):
    assert said(f"a: '{written}'") == {"a": written}


@pytest.mark.parametrize("written", DOUBTFUL)
def test_numbers_that_yaml_reads_otherwise_are_refused(said, written):
    with pytest.raises(SettingsError) as caught:
        said(f"studies:\n  one:\n    seeds: [1, {written}]\n")
    expected = f"studies.one.seeds[1] = {written} in line 3 is {DOUBTFUL[written]} in YAML. Allowed"
    assert expected in str(caught.value)


def test_names_of_studies_are_numbers_of_one_reading_too(said):
    with pytest.raises(SettingsError, match=r"studies.010 = 010 in line 1 is 8 in YAML"):
        said("studies: {010: 3}")


@pytest.mark.parametrize("text", [*NUMBERS, *TEXTS, *DOUBTFUL, "true", "null", "", "a b"])
def test_texts_are_written_so_that_they_are_read_as_texts(said, text):
    mapping = {"name": text, "below": {text: [text, 1e-5, 3]}}
    assert said(as_yaml(mapping)) == mapping


def _given(tmp_path, given):
    """What the command line says, as Snakemake hands it over."""
    (tmp_path / "my.yaml").write_text("name: x\n")
    return read_configuration([tmp_path / "my.yaml"], given)


def test_numbers_below_the_first_level_of_the_command_line(tmp_path):
    given = {"training": {"threads": "2"}, "measuring": {"hessian_trace": "false"}}
    given["studies"] = {"a": {"sweep": [{"learning_rate": "1e-3", "batch_size": "20"}]}}
    content = _given(tmp_path, given)
    assert content["training"] == {"threads": 2}
    assert content["measuring"] == {"hessian_trace": False}
    assert content["studies"]["a"]["sweep"] == [{"learning_rate": 0.001, "batch_size": 20}]


def test_truth_values_at_the_first_level_of_the_command_line(tmp_path):
    assert _given(tmp_path, {"download": "false"})["download"] is False


def test_keys_for_texts_keep_texts_of_digits(tmp_path):
    given = {"studies": {"a": {"middle_layers": ["16"], "dataset": "010"}}, "name": "1e5"}
    content = _given(tmp_path, given)
    assert content["studies"]["a"] == {"middle_layers": ["16"], "dataset": "010"}
    assert content["name"] == "1e5"


def test_options_of_networks_are_numbers(tmp_path):
    given = {"studies": {"a": {"network": {"hidden_width": "30", "activation": "tanh"}}}}
    network = _given(tmp_path, given)["studies"]["a"]["network"]
    assert network == {"hidden_width": 30, "activation": "tanh"}


def test_the_command_line_refuses_what_a_file_refuses(tmp_path):
    with pytest.raises(SettingsError) as caught:
        _given(tmp_path, {"studies": {"a": {"seeds": ["0", "010"]}}})
    expected = "--config studies.a.seeds[1] = 010 is 8 in YAML. Allowed: "
    assert str(caught.value).startswith(expected)
