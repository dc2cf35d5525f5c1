"""The user's code is imported and called; what it raises is one line."""

import hashlib
import re
import sys

import numpy as np
import pytest
import torch
from torch import nn

from flatness.__main__ import main
from flatness.storage import read_dataset

REFUSED = {
    "no function": ("factories.py", r"FACTORY factories\.py\. Allowed: package\.module:function"),
    "no name": ("factories.py:", r"FACTORY factories\.py:\. Allowed: package\.module:function"),
    "absent file": ("absent.py:dense", r"FACTORY absent\.py:dense: no file absent\.py\. Allowed"),
    "absent module": (
        "absent.module:dense",
        r"FACTORY absent\.module:dense: importing it raised ModuleNotFoundError: No module named "
        r"'absent'\. Allowed: code that runs\. Import it yourself in Python",
    ),
    "absent function": (
        "factories.py:wide",
        r"FACTORY factories\.py:wide: factories\.py has no function 'wide'\. Allowed: a function "
        r"that returns the network; defined there: Failing, Mistake, convolution, dead, dense, ",
    ),
    "no function but a number": ("factories.py:nothing", r".* has no function 'nothing'"),
    "function that fails": (
        "factories.py:failing",
        r"FACTORY factories\.py:failing: calling it raised KeyError: 'no such option\\nand a "
        r"second line'\. Allowed: code that runs\. Call it yourself in Python to see where it "
        r"fails\.$",
    ),
    "function that ends the process": (
        "factories.py:leaving",
        r"FACTORY factories\.py:leaving: calling it raised SystemExit: bye\.",
    ),
    "no module": (
        "factories.py:number",
        r"FACTORY factories\.py:number: returned an object of type int\. Allowed: a "
        r"torch\.nn\.Module\.",
    ),
    "network that fails": (
        "factories.py:Failing",
        r"the network of FACTORY factories\.py:Failing: calling it on inputs of shape \(2, 3, 4, "
        r"4\) raised LookupError: forward is wrong\. Allowed: code that runs\.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(refused, case):
    place, message = REFUSED[case]
    assert re.match(message, refused(factory=place))


def test_keyword_that_the_function_does_not_take(refused):
    line = refused(arguments='{"depth": 3}')
    assert "calling it raised TypeError: dense() got an unexpected keyword argument 'depth'" in line


def test_images_that_the_network_cannot_read(refused):
    line = refused(size=(5, 5))
    assert re.search(
        r"calling it on inputs of shape \(2, 3, 5, 5\) raised RuntimeError: .*2x75 and 48x5", line
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def network(:\n", r"importing it raised SyntaxError: .*invalid syntax"),
        ("raise ValueError\n", r"importing it raised ValueError: \. Allowed"),
        ("import sys\nsys.exit('no')\n", r"importing it raised SystemExit: no\."),
    ],
)
def test_files_that_cannot_be_imported(here, refused, text, message):
    (here / "broken.py").write_text(text)
    assert re.search(message, refused(factory="broken.py:network"))


def test_a_network_that_fails_only_while_it_is_differentiated(command, capsys):
    words = command(factory="factories.py:Failing", arguments='{"error": "later"}')
    assert main(words) == 1
    line = capsys.readouterr().err
    assert line == (
        "the network of FACTORY factories.py:Failing: measuring it raised Mistake: only while it "
        "is differentiated. Allowed: code that runs. Call it and run backward() yourself in "
        "Python to see where it fails.\n"
    )


def test_a_file_called_like_a_library_does_not_take_its_place(here, measured):
    (here / "json.py").write_text((here / "factories.py").read_text())
    import json

    measured(factory="json.py:dense")
    assert sys.modules["json"] is json


def test_a_file_in_another_folder_imports_what_lies_beside_it(here, measured):
    (here / "elsewhere").mkdir()
    text = (here / "factories.py").read_text().replace("beside_it", "beside_elsewhere")
    (here / "elsewhere/factories.py").write_text(text)
    (here / "elsewhere/beside_elsewhere.py").write_text("")
    measured(factory="elsewhere/factories.py:dense")
    assert (here / "out/found.nc").exists()


def test_a_module_in_the_current_folder(here, measured, monkeypatch):
    monkeypatch.setattr(
        sys, "path", [folder for folder in sys.path if folder not in ("", str(here))]
    )
    (here / "my_package").mkdir()
    (here / "my_package/of_mine.py").write_text("from torch import nn\n\nLinear = nn.Flatten\n")
    (here / "my_package/networks.py").write_text(
        "from my_package import of_mine\n"
        "from torch import nn\n"
        "def network():\n"
        "    return nn.Sequential(of_mine.Linear(), nn.Linear(48, 3))\n"
    )
    measured(factory="my_package.networks:network")
    assert (here / "out/found.nc").exists()


def test_a_factory_whose_file_is_not_known(here, measured):
    import xarray as xr

    (here / "made.py").write_text(
        "import functools, factories\ndense = functools.partial(factories.dense, outputs=2)\n"
    )
    measured(factory="made.py:dense")
    found = xr.load_dataset(here / "out/found.nc")
    assert found.attrs["factory_sha256"] == "unknown"
    assert found.sizes["output"] == 2


OWN = """
import torch
from torch import nn

import factories


class Net(nn.Sequential):
    @classmethod
    def from_pretrained(cls, outputs=3):
        return factories.dense(outputs)

    class Small:
        @staticmethod
        def build():
            return factories.dense(2)


ready = factories.dense()
"""


@pytest.mark.parametrize("name", ["Net.from_pretrained", "ready"])
def test_a_method_and_a_network_that_is_there_already(here, measured, name):
    (here / "own.py").write_text(OWN)
    measured(factory=f"own.py:{name}", random_weights=4)
    found = read_dataset(here / "out/found.nc")
    measured(random_weights=4, output="out/expected.nc")
    expected = read_dataset(here / "out/expected.nc")
    for variable, values in expected.items():
        np.testing.assert_array_equal(found[variable], values, err_msg=variable)
    own = hashlib.sha256((here / "own.py").read_bytes()).hexdigest()
    assert found.attrs["factory_sha256"] == own


def test_methods_within_classes_and_their_arguments(here, measured):
    (here / "own.py").write_text(OWN)
    measured(factory="own.py:Net.Small.build")
    assert read_dataset(here / "out/found.nc").sizes["output"] == 2
    measured(
        factory="own.py:Net.from_pretrained", arguments='{"outputs": 4}', output="out/other.nc"
    )
    assert read_dataset(here / "out/other.nc").sizes["output"] == 4


def test_arguments_for_a_network_that_is_there_already(here, refused):
    (here / "own.py").write_text(OWN)
    line = refused(factory="own.py:ready", arguments='{"outputs": 2}')
    assert line == (
        '--arguments {"outputs": 2}: FACTORY own.py:ready is a network that is there already. '
        "Allowed: none. Leave them out, or name the function that makes it.\n"
    )


@pytest.mark.parametrize("name", ["Net.absent", "absent.build", "Net.", ".Net", "ready.missing"])
def test_attributes_that_are_not_there(here, refused, name):
    (here / "own.py").write_text(OWN)
    assert f"own.py has no function {name!r}. Allowed: a function" in refused(
        factory=f"own.py:{name}"
    )


WRAPPED = """
import torch
from torch import nn

import factories


def parallel():
    return nn.DataParallel(factories.dense())


def program(size=None):
    sizes = {0: torch.export.Dim("samples")} if size is None else None
    network = factories.dense().eval()
    return torch.export.export(
        network, (torch.ones(size or 2, 3, 4, 4),), dynamic_shapes=(sizes,)
    )


def script():
    return torch.jit.script(factories.dense())


class Broken(nn.Linear):
    def train(self, mode=True):
        raise NotImplementedError("always in training")
"""


@pytest.mark.parametrize("name", ["parallel", "program"])
def test_networks_in_wrappers(here, measured, name):
    (here / "own.py").write_text(WRAPPED)
    torch.save(_state(), here / "w.pt")
    measured(factory=f"own.py:{name}", weights="w.pt")
    measured(weights="w.pt", output="out/expected.nc")
    found = read_dataset(here / "out/found.nc")
    expected = read_dataset(here / "out/expected.nc")
    np.testing.assert_allclose(found["singular_value"], expected["singular_value"], rtol=1e-5)
    np.testing.assert_array_equal(found["parameter"], expected["parameter"])


def _state():
    torch.manual_seed(9)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(48, 5), nn.Dropout(0.5), nn.Tanh(), nn.Linear(5, 3)
    ).state_dict()


@pytest.mark.parametrize(
    ("place", "arguments", "message"),
    [
        ("script", "{}", "model: is TorchScript, "),
        ("program", '{"size": 3}', "takes any number of samples. Export it with dynamic_shapes="),
        (
            "Broken",
            '{"in_features": 48, "out_features": 3}',
            "the network of FACTORY own.py:Broken: eval() raised NotImplementedError: always in",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_wrappers_that_are_refused(here, refused, place, arguments, message):
    (here / "own.py").write_text(WRAPPED)
    assert message in refused(factory=f"own.py:{place}", arguments=arguments)
