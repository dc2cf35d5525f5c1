"""Several checkpoints on the command line: one file, one page, one picture of curves."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import flatness
from flatness.__main__ import main
from flatness.series import recorder as recorder_module
from flatness.storage import read_dataset


@pytest.fixture
def run(here, photos):
    """Weights of `dense` at three moments, in files of three names; by iteration."""
    torch.manual_seed(0)
    states = {}
    (here / "run").mkdir()
    for iteration in (100, 5, 20):
        states[iteration] = {
            "1.weight": torch.randn(5, 48),
            "1.bias": torch.randn(5),
            "4.weight": torch.randn(3, 5),
            "4.bias": torch.randn(3),
        }
        torch.save(states[iteration], here / f"run/epoch_{iteration}.pt")
    return states


def test_they_are_what_measure_checkpoints_gives(here, run, measured):
    """From a pattern, in the order of iterations, not of names."""
    text = measured(weights="run/epoch_*.pt")
    found = read_dataset(here / "out/found.nc")
    assert found["iteration"].values.tolist() == [5, 20, 100]
    assert found["weights_file"].values.tolist() == [f"run/epoch_{k}.pt" for k in (5, 20, 100)]
    pixels = [np.array(Image.open(here / "photos" / name)) for name in found["image"].values]
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(48, 5), nn.Dropout(0.5), nn.Tanh(), nn.Linear(5, 3)
    )
    inputs = torch.tensor(np.stack(pixels)).permute(0, 3, 1, 2) / 255
    expected = flatness.measure_checkpoints(network, run, inputs)
    for name, values in expected.data_vars.items():
        np.testing.assert_array_equal(found[name].to_numpy(), values.to_numpy(), name)
    files = json.loads(found.attrs["weights"])["files"]
    assert (files[0]["iteration"], files[0]["file"]) == (5, "run/epoch_5.pt")
    assert len(files[0]["sha256"]) == 64
    page = (here / "out/found.md").read_text()
    assert page == text
    for k, value in enumerate(flatness.quantities(found)["mls"].values):
        assert f"{value:.6g}" in text, k
    assert "![Quantities over the checkpoints](found.png)" in text
    assert "at iteration 100; six significant digits" in text
    width, height = Image.open(here / "out/found.png").size
    assert width > 500 < height
    assert {file.name for file in (here / "out").iterdir()} == {"found.nc", "found.md", "found.png"}


def test_files_by_name_are_the_same(here, run, measured):
    measured(weights="run/epoch_*.pt")
    names = [f"run/epoch_{k}.pt" for k in (20, 100, 5)]
    measured(weights=names, output="out/other.nc")
    one, other = (read_dataset(here / f"out/{name}.nc") for name in ("found", "other"))
    assert one.identical(other)


def test_what_is_measured_survives_an_interruption(here, run, command, capsys, monkeypatch):
    """And only the rest is measured by the next command."""
    real, measured = recorder_module.measure_one, []

    def interrupted(*given):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(given)
        return real(*given)

    words = command(weights="run/epoch_*.pt")
    monkeypatch.setattr(recorder_module, "measure_one", interrupted)
    assert main(words) == 130
    assert capsys.readouterr().err == (
        "Interrupted. The same command starts again; what is finished is kept.\n"
    )
    (kept,) = (here / "out").iterdir()
    assert read_dataset(kept)["iteration"].values.tolist() == [5, 20]
    # Another question is not answered by it.
    measured.clear()
    monkeypatch.setattr(
        recorder_module, "measure_one", lambda *given: (measured.append(given), real(*given))[1]
    )
    assert main(command(weights="run/epoch_*.pt", samples=3, output="out/three.nc")) == 0
    assert len(measured) == 3
    measured.clear()
    capsys.readouterr()
    assert main(words) == 0
    assert capsys.readouterr().err == "Goes on after 2 of 3 checkpoints.\n"
    assert len(measured) == 1
    assert main(command(weights="run/epoch_*.pt", output="out/whole.nc")) == 0
    found, whole = (read_dataset(here / f"out/{name}.nc") for name in ("found", "whole"))
    assert found.identical(whole)
    assert not kept.exists()


def test_progress_as_a_terminal_shows_it(run, command, capsys):
    assert main([*command(weights="run/epoch_*.pt"), "--progress"]) == 0
    error = capsys.readouterr().err
    assert "measured: 100 %" in error
    assert " left, " in error
    assert main([*command(output="out/one.nc"), "--progress"]) == 0
    assert "measured: 100 %" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (None, {"weights": "run/none_*.pt"}, "--weights run/none_*.pt: matches no file. "),
        (None, {"weights": "ru*"}, "--weights ru*: matches folders only. Allowed: "),
        (
            lambda here: (here / "run/epoch_20.pt").rename(here / "run/best.pt"),
            {"weights": "run/*.pt"},
            "--weights run/best.pt: its name holds no number. Allowed: ",
        ),
        (
            lambda here: (here / "run/epoch_20.pt").rename(here / "run/last_30.pt"),
            {"weights": "run/*.pt"},
            "--weights run/last_30.pt: its name differs from run/epoch_100.pt in more than",
        ),
        (
            lambda here: (here / "run/epoch_20.pt").rename(here / "run/epoch_05.pt"),
            {"weights": "run/*.pt"},
            "tells iteration 5, as ",
        ),
        (
            lambda here: torch.save({"x": torch.ones(2)}, here / "run/epoch_100.pt"),
            {"weights": "run/*.pt"},
            "--weights run/epoch_100.pt: does not fit the network of FACTORY ",
        ),
        (None, {"iteration_after": "step"}, "--iteration-after step: there is no file of weights"),
        (
            None,
            {"weights": "run/*.pt", "iteration_after": "step="},
            "--weights run/epoch_100.pt: its name holds no number behind 'step='. Allowed: ",
        ),
    ],
)
def test_mistakes_are_named_before_anything_is_measured(
    here, run, refused, monkeypatch, change, options, message
):
    monkeypatch.setattr(recorder_module, "measure_one", lambda *_: pytest.fail("it measured"))
    if change is not None:
        change(here)
    assert message in refused(**options)


def test_the_picture_is_not_overwritten_either(here, run, refused):
    (here / "out").mkdir()
    (here / "out/found.png").touch()
    assert "--output out/found.png: exists." in refused(weights="run/*.pt")
