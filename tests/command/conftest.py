"""A user's factories, weights and images, and the command line on them."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from flatness.__main__ import main

FACTORIES = '''
"""What a user might have."""

import torch
from torch import nn

import beside_it


def dense(outputs=3, inputs=48):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, 5), nn.Dropout(0.5), nn.Tanh(), nn.Linear(5, outputs)
    )


def convolution(channels=3):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)
    )


def dead():
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.ReLU(), nn.Linear(4, 3))
    nn.init.constant_(network[1].bias, -100.0)
    return network


def without_layers():
    return nn.Sequential(nn.Flatten(), nn.LayerNorm(48))


def failing():
    raise KeyError("no such option\\nand a second line")


def leaving():
    raise SystemExit("bye")


class Mistake(Exception):
    pass


class Failing(nn.Module):
    def __init__(self, error="forward"):
        super().__init__()
        self.layer, self.error = nn.Linear(48, 3), error

    def forward(self, x):
        if self.error == "later" and torch.is_grad_enabled():
            raise Mistake("only while it is differentiated")
        if self.error == "forward":
            raise LookupError("forward is wrong")
        return self.layer(x.flatten(1))


def number():
    return 3


nothing = 3
'''


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    """The command belongs to a process of its own: put back what it changes in this one."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with factories, made the current one."""
    (tmp_path / "factories.py").write_text(FACTORIES)
    (tmp_path / "beside_it.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def photos(here):
    """Six colour images of 4 x 4 pixels, in sub-folders, too."""
    generator = np.random.default_rng(0)
    for name in ("b.png", "a/2.png", "a/10.png", "a.png", "c/d/1.BMP", "z.png"):
        (here / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(here / "photos" / name)
    return here / "photos"


# In the order of their paths, character by character.
NAMES = ["a.png", "a/10.png", "a/2.png", "b.png", "c/d/1.BMP", "z.png"]


@pytest.fixture
def names():
    """The images of `photos` in the order in which they are measured."""
    return NAMES


@pytest.fixture
def command(photos):
    """A function: the words of a command line, with options in the place of the usual ones."""

    def words(**options):
        usual = {
            "factory": "factories.py:dense",
            "random_weights": 0,
            "images": "photos",
            "threads": 1,
            "output": "out/found.nc",
        }
        chosen = {**usual, **options}
        if "weights" in options:
            del chosen["random_weights"]
        found = ["measure", chosen.pop("factory")]
        for name, value in chosen.items():
            found.append("--" + name.replace("_", "-"))
            values = value if isinstance(value, list | tuple) else [value]
            found += [str(one) for one in values if one is not True]
        return found

    return words


@pytest.fixture
def measured(command, capsys):
    """A function: run the command, which must succeed; what it printed."""

    def run(**options):
        code = main(command(**options))
        printed = capsys.readouterr()
        assert (code, printed.err) == (0, "")
        return printed.out

    return run


@pytest.fixture
def refused(command, capsys, monkeypatch, here):
    """A function: run the command, which must fail before it measures; its one line."""

    def run(**options):
        def unreachable(*_, **__):
            pytest.fail("it began to measure")

        with monkeypatch.context() as patched:
            patched.setattr("flatness.command.measure.measure_one", unreachable)
            before = sorted(here.rglob("*"))
            code = main(command(**options))
        printed = capsys.readouterr()
        assert (code, printed.out) == (1, "")
        assert printed.err.endswith("\n")
        assert "\n" not in printed.err[:-1]
        assert "Allowed" in printed.err
        new = {file.name for file in set(here.rglob("*")) - set(before)}
        assert new <= {"__pycache__", *(n for n in new if n.endswith(".pyc"))}
        return printed.err

    return run
