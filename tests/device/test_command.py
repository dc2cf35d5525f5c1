"""`flatness measure` and `verify` on a device."""

import numpy as np
import pytest
import torch
from PIL import Image

from flatness.__main__ import main
from flatness.experiment.prepared import prepare
from flatness.experiment.training import train
from flatness.measurement.run import measure_run
from flatness.storage import read_dataset
from tests.device.agreement import assert_agree
from tests.experiment.short_run import DIGITS, PLAN

FACTORY = """
from torch import nn

def dense():
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 5), nn.Tanh(), nn.Linear(5, 3))
"""


@pytest.fixture
def arguments(tmp_path, has_gpu):
    """A function: the command line that writes to a file."""
    (tmp_path / "images").mkdir()
    draw = np.random.default_rng(0)
    for name in "abc":
        pixels = draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{name}.png")
    (tmp_path / "mine.py").write_text(FACTORY)

    def to(name, on="cpu"):
        words = f"measure {tmp_path}/mine.py:dense --random-weights 0 --images {tmp_path}/images"
        return [*words.split(), "--device", on, "--threads", "1", "--output", str(tmp_path / name)]

    return to


def test_measuring_images(arguments, tmp_path, configured, has_gpu, monkeypatch, capsys):
    assert main(arguments("cpu.nc")) == 0
    monkeypatch.setattr("flatness.command.subject.configure", configured)
    assert main(arguments("device.nc", "cuda" if has_gpu else "cpu")) == 0
    found, expected = read_dataset(tmp_path / "device.nc"), read_dataset(tmp_path / "cpu.nc")
    assert found.attrs["device"] != expected.attrs["device"]
    assert_agree(found, expected, torch.float32)
    assert "sharpness" in capsys.readouterr().out


def test_verifying_a_run(tmp_path, computing_on, monkeypatch, capsys):
    for name in ("datasets", "runs/short", "measurements"):
        (tmp_path / name).mkdir(parents=True)
    dataset, trained = (
        tmp_path / "datasets/digits.nc",
        tmp_path / "runs/short/checkpoints.safetensors",
    )
    prepare(DIGITS | {"samples": 3}, tmp_path, False, dataset, {})
    plan = PLAN.__class__(**vars(PLAN) | {"iterations": 2})
    train(plan, dataset, trained, tmp_path / "state")
    measure_run(
        trained,
        dataset,
        tmp_path / "measurements/short.nc",
        dataset_name="digits",
        chunk_size=10,
        minibatch_window=1,
    )
    assert main(["verify", str(tmp_path), "--share", "1"]) == 0
    assert "have the same bits" in capsys.readouterr().out
