"""A study with code of its own is computed anew only with that code, which its page names."""

from flatness.publication.configuration import own_code
from flatness.publication.publish import publish
from flatness.settings import load_settings
from tests.publication.made_up_results import configuration, made_up_results


def test_code_is_named_once_and_only_what_a_study_uses():
    given = configuration(quantities="my_quantities.py", figures={})
    given["datasets"] |= {
        "numbers": {"factory": "my_data.py:images", "outputs": 10},
        "unused": {"factory": "no.py:images", "outputs": 10},
    }
    for study in given["studies"].values():
        study["network"] = {"factory": "my_cnn.py:build"}
    assert own_code(load_settings(given, "made up")) == [
        "my_cnn.py:build",
        "my_data.py:images",
        "my_quantities.py",
    ]
    assert own_code(load_settings(configuration(), "made up")) == []


def test_the_page_names_it(tmp_path):
    sentence = "which are not published here"
    publish(made_up_results([0, 1]), tmp_path)
    assert sentence not in (tmp_path / "README.md").read_text()
    publish(made_up_results([0, 1], quantities="my_quantities.py"), tmp_path)
    page = (tmp_path / "README.md").read_text()
    assert f" and `my_quantities.py`, {sentence}, in the repository's folder:" in page
    assert "\n\n\n" not in page
