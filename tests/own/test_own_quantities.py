"""Quantities of a user's own stand beside the package's wherever these are."""

import numpy as np
import pytest
import xarray as xr

from flatness.analysis.correlations import correlations
from flatness.errors import FlatnessError, MeasurementError, SettingsError
from flatness.figures.labels import label
from flatness.glossary import own
from flatness.glossary.own import adopt, own_terms
from flatness.glossary.quantities import QUANTITIES
from flatness.jobs import trial
from flatness.own.quantities import load_quantities, own_quantities
from flatness.settings import read_settings
from flatness.tables.correlation_markdown import write_markdown
from tests.analysis.made_up import analysed, analysed_run

HEAD = "import flatness\nimport numpy as np\n\n"
RATIO = """\
@flatness.quantity("ratio of the two largest singular values", "1/n sum_i s_i1 / s_i2",
                   symbol="$r$", unit="1")
def sigma_ratio(primitives):
    sigma = primitives["singular_value"]
    return (sigma.isel(mode=0) / sigma.isel(mode=1)).mean("sample")
"""


@pytest.fixture
def write(folder):
    """A function: write a file of quantities."""
    return lambda text: (folder / "my.py").write_text(HEAD + text)


@pytest.fixture
def primitives():
    sigma = np.random.default_rng(0).uniform(1, 2, (2, 3, 5, 4))
    return xr.Dataset({"singular_value": (("checkpoint", "sample_set", "sample", "mode"), sigma)})


def test_it_is_what_the_function_returns(write, primitives):
    write(RATIO)
    functions = load_quantities("my.py")
    value = own_quantities(functions, primitives, "my.py")["sigma_ratio"]
    sigma = primitives["singular_value"].to_numpy()
    assert value.dims == ("checkpoint", "sample_set")
    assert np.allclose(value, (sigma[..., 0] / sigma[..., 1]).mean(-1))


def test_figures_and_tables_call_it_as_registered(write):
    write(RATIO)
    load_quantities("my.py")
    assert label("sigma_ratio") == "Ratio of the two largest singular values $r$"


def test_correlation_tables_have_it_with_its_formula(write, folder):
    write(RATIO)
    load_quantities("my.py")
    runs = [analysed_run(seed=seed, sharpness=seed + 1.0) for seed in range(4)]
    runs = [run.assign(sigma_ratio=3 * run["sharpness"]) for run in runs]
    found = correlations(analysed(runs), sample_set="train", confidence=0.9, bootstrap_draws=100)
    pair = {"quantity": "sigma_ratio", "other_quantity": "sharpness", "statistic": "pearson"}
    assert np.isclose(found["coefficient"].sel(group="pooled").sel(pair), 1)
    write_markdown(found, folder / "table.md", study="mlp")
    row = "| `sigma_ratio` | ratio of the two largest singular values | `1/n sum_i s_i1 / s_i2` |"
    assert row in (folder / "table.md").read_text()


def test_a_file_brings_its_own_quantities(write, primitives):
    """Whoever reads a publication has not the user's file."""
    write(RATIO)
    values = own_quantities(load_quantities("my.py"), primitives, "my.py")
    term = own_terms()["sigma_ratio"]
    stored = xr.Dataset(values)
    stored["sigma_ratio"].attrs |= {
        "long_name": term.long_name,
        "formula": term.formula,
        "units": term.units,
    }
    own._own.clear()
    del QUANTITIES["sigma_ratio"]
    adopt(stored)
    assert QUANTITIES["sigma_ratio"] == term


def test_a_file_cannot_rename_the_packages_own():
    before = QUANTITIES["sharpness"]
    adopt(xr.Dataset({"sharpness": ((), 1.0, {"registered_by": "my.py", "long_name": "else"})}))
    assert QUANTITIES["sharpness"] == before


REFUSED = {
    "nothing": ("x = 1", "has no quantity. Allowed: functions with @flatness.quantity("),
    "a name of the glossary": (
        RATIO.replace("sigma_ratio", "sharpness"),
        "the name 'sharpness' is one of the glossary's own. Allowed: another name. Rename it.",
    ),
    "a name of earlier versions": (
        RATIO.replace("sigma_ratio", "input_gradient_norm"),
        "the name 'input_gradient_norm' is one of the glossary's own.",
    ),
    "a name of a primitive": (RATIO.replace("sigma_ratio", "label"), "the name 'label' is one of"),
    "no words": (
        '@flatness.quantity("", "f")\ndef mine(p): ...',
        "mine has no long_name. Allowed: words. Say what it is.",
    ),
    "no formula": (
        '@flatness.quantity("words")\ndef mine(p): ...',
        "importing it raised TypeError: quantity() missing 1 required positional argument",
    ),
    "two names": (RATIO + "\nother = sigma_ratio", "'other' is the function 'sigma_ratio'."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_say_too_little_are_refused(write, case):
    text, message = REFUSED[case]
    write(text)
    with pytest.raises(FlatnessError) as caught:
        load_quantities("my.py")
    assert str(caught.value).startswith("quantities = 'my.py': ")
    assert message in str(caught.value)
    assert not own_terms()


def test_a_file_that_is_absent_is_named(folder):
    with pytest.raises(SettingsError, match=r"quantities = 'absent\.py': no file absent\.py\."):
        load_quantities("absent.py")


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("3", "an object of type int"),
        ("primitives['singular_value']", "the dimensions checkpoint: 2, sample_set: 3, sample: 5"),
        ("primitives['singular_value'].mean()", "the dimensions none"),
        ("primitives['absent']", "calling it raised KeyError"),
    ],
)
def test_functions_that_return_something_else_are_refused(write, primitives, returned, message):
    write(f'@flatness.quantity("words", "f")\ndef mine(primitives):\n    return {returned}\n')
    with pytest.raises(MeasurementError) as caught:
        own_quantities(load_quantities("my.py"), primitives, "my.py")
    assert "quantities = 'my.py': mine: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_each_is_called_with_each_studys_network_before_anything_starts(write, small):
    write(RATIO)
    trial.check_quantities(small(quantities="my.py"), "my.yaml")
    write(RATIO.replace("mode=1", "mode=10"))
    with pytest.raises(SettingsError, match=r"^my\.yaml: quantities = 'my\.py': sigma_ratio: "):
        trial.check_quantities(small(quantities="my.py"), "my.yaml")


@pytest.mark.parametrize(
    "text", [None, "", "import no_such_module\n", RATIO.replace("sigma_ratio", "mls")]
)
def test_what_is_wrong_with_the_file_is_said_of_the_configuration(folder, text):
    if text is not None:
        (folder / "my.py").write_text(HEAD + text)
    (folder / "my.yaml").write_text("quantities: my.py\n")
    with pytest.raises(
        SettingsError, match=r"^my\.yaml: quantities = 'my\.py': .*Allowed: [^\n]*$"
    ):
        read_settings("my.yaml")
