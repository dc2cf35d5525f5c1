"""The wheel, installed into an empty environment without what only the workflow needs."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

NETWORK = """
import torch
from torch import nn


def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
"""

LIBRARY = """
import json
import sys

import numpy as np
import torch

import flatness
from my_network import build

_ = torch.manual_seed(0)
model, inputs = build().eval(), torch.rand(5, 3, 4, 4)
recorder = flatness.Recorder(inputs, every=1, path="recorded.nc")
recorder(model, 0)
stored = flatness.measure_checkpoints(model, {0: model.state_dict()}, inputs, torch.arange(5) % 3)
figure = flatness.plot.trends(stored, ["sharpness", "mls"])
figure.savefig("trends.png")
study = flatness.open_results(sys.argv[1])["vgg10_cifar10"]
measured = flatness.measure(model, inputs)
print(json.dumps({
    "file": flatness.__file__,
    "largest": float(measured["singular_value"][0, 0]),
    "recorded": float(recorder.dataset["singular_value"][0, 0, 0]),
    "stored": float(stored["singular_value"][0, 0, 0]),
    "dense": float(torch.linalg.matrix_norm(model[1].weight.double(), 2)),
    "hessian_minus_sharpness": float(flatness.quantities(stored)["hessian_gap"][0]),
    "holds": bool((flatness.bounds(measured)["slack"].fillna(0) > -1e-6).all()),
    "runs": len(study),
}))
"""


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """Built from a copy of what it is made of, as building leaves files beside it."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / file, source)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(root / "workflow", source / "workflow", ignore=ignored)
    _run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        built,
        source,
    )
    (found,) = built.iterdir()
    return found


@pytest.fixture(scope="module")
def environment(wheel, root, tmp_path_factory):
    """The programs of an environment with the wheel and its requirements alone."""
    folder = tmp_path_factory.mktemp("environment")
    _run(sys.executable, "-m", "venv", "--without-pip", folder)
    _run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        folder / "bin/python",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        wheel,
    )
    (packages,) = folder.glob("lib/python*/site-packages")
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    for place in _places(project["dependencies"]):
        (packages / place.name).symlink_to(place)
    return folder / "bin"


def _places(requirements: list[str]) -> set[Path]:
    """The files and folders of what is required, and of what that requires, where they lie."""
    found: dict[str, Distribution] = {}
    waiting = list(map(Requirement, requirements))
    while waiting:
        wanted = waiting.pop()
        if wanted.name not in found and (wanted.marker is None or wanted.marker.evaluate()):
            found[wanted.name] = distribution(wanted.name)
            waiting += [Requirement(line) for line in found[wanted.name].requires or ()]
    return {
        Path(each.locate_file(file.parts[0]))
        for each in found.values()
        for file in each.files or ()
        if file.parts[0] not in ("..", "__pycache__")
    }


def _run(*command, code: int = 0, **options) -> subprocess.CompletedProcess:
    """A program that knows nothing of the repository, and how it ends."""
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        command, env=known, capture_output=True, text=True, timeout=300, **options
    )
    assert result.returncode == code, result.stdout + result.stderr
    return result


@pytest.fixture
def folder(tmp_path):
    """A folder with a network and images."""
    from PIL import Image

    (tmp_path / "my_network.py").write_text(NETWORK)
    (tmp_path / "photos").mkdir()
    for k in range(4):
        Image.new("RGB", (4, 4), (60 * k, 40, 20)).save(tmp_path / f"photos/{k}.png")
    return tmp_path


def test_it_holds_the_library_and_nothing_of_the_workflow(wheel, root):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {
        "flatness",
        f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info",
    }
    package = root / "workflow/flatness"
    for pattern in ("*.py", "*.mplstyle"):
        files = {f"flatness/{file.relative_to(package)}" for file in package.rglob(pattern)}
        assert files
        assert files <= set(names)


@pytest.mark.parametrize("module", ["snakemake", "sklearn", "torchvision", "pytest"])
def test_what_only_the_workflow_needs_is_absent_there(environment, module):
    assert (
        "ModuleNotFoundError"
        in _run(environment / "python", "-c", f"import {module}", code=1).stderr
    )


def test_the_command_measures_a_network(environment, folder):
    printed = _run(
        environment / "flatness",
        "measure",
        "my_network:build",
        "--random-weights",
        "0",
        "--images",
        "photos",
        "--dtype",
        "float64",
        "--output",
        "measured.nc",
        cwd=folder,
    ).stdout
    # f = W x + b has ||df/dtheta||^2 = 3 (||x||^2 + 1), of 3 outputs.
    squares = [16 * ((60 * k) ** 2 + 40**2 + 20**2) / 255**2 for k in range(4)]
    expected = sum(3 * (square + 1) for square in squares) / 4
    (value,) = re.findall(r"^\| sharpness +\| sharpness +\| (\S+)", printed, re.M)
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert {"measured.nc", "measured.md"} <= {file.name for file in folder.iterdir()}


def test_the_library_measures_draws_and_opens_results(environment, folder, root):
    (folder / "script.py").write_text(LIBRARY)
    published = root / "docs/variants/five_fold_rates_tanh/results.nc"
    found = json.loads(_run(environment / "python", "script.py", published, cwd=folder).stdout)
    assert Path(found["file"]).is_relative_to(environment.parent)
    for name in ("largest", "recorded", "stored"):
        assert found[name] == pytest.approx(found["dense"], rel=1e-5)
    assert found["hessian_minus_sharpness"] == 0
    assert found["holds"]
    assert found["runs"] == 25
    assert (folder / "trends.png").stat().st_size > 1000


def test_what_needs_the_repository_or_the_workflow_says_so(environment, folder, root):
    published = root / "docs/variants/five_fold_rates_tanh"
    refused = {
        ("reproduce", published, "--output", "again"): "of the repository are not beside",
        (
            "measure",
            "torchvision.models:resnet18",
            "--random-weights",
            "0",
            "--images",
            "photos",
            "--output",
            "measured.nc",
        ): "No module named 'torchvision'",
    }
    for words, message in refused.items():
        (line,) = _run(environment / "flatness", *words, code=1, cwd=folder).stderr.splitlines()
        assert message in line
        assert "Allowed: " in line
