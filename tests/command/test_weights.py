"""Weights are read without running code, and fit entirely or not at all."""

import io
import os
import pickle
import re

import pytest
import safetensors.torch
import torch
from torch import nn


class Malicious:
    """Unpickled by an unguarded reader, it writes a file."""

    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return os.system, (f"touch '{self.canary}'",)


def _state(outputs=3):
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(48, 5), nn.Dropout(0.5), nn.Tanh(), nn.Linear(5, outputs)
    )
    return network.state_dict()


def _by_torch(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _plain(value):
    return pickle.dumps(value, protocol=2)


@pytest.mark.parametrize("write", [_by_torch, _plain, pickle.dumps])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_pickle_that_runs_code_is_refused_unread(here, refused, write, hidden):
    canary = here / "canary"
    value = Malicious(canary)
    content = write({**_state(), "more": value} if hidden else value)
    (here / "weights.pt").write_bytes(content)
    line = refused(weights="weights.pt")
    assert re.match(
        r"--weights weights\.pt: holds more than tensors( \([\w.]+\))?\. It is not read, "
        r"because that could run code in it\. Allowed: safetensors, the \*\.index\.json of ",
        line,
    )
    assert not canary.exists()
    pickle.loads(_plain(value))
    assert canary.exists(), "the canary itself must work"
    canary.unlink()


def test_a_pickle_in_the_place_of_safetensors_is_refused_unread(here, refused):
    (here / "weights.safetensors").write_bytes(_plain(Malicious(here / "canary")))
    line = refused(weights="weights.safetensors")
    assert "--weights weights.safetensors: holds more than tensors" in line
    assert not (here / "canary").exists()


def test_a_whole_module_is_refused(here, refused):
    torch.save(nn.Linear(48, 3), here / "weights.pt")
    assert "holds more than tensors (torch.nn.modules.linear.Linear)" in refused(
        weights="weights.pt"
    )


REFUSED = {
    "names that are numbers": (
        lambda: _by_torch({1: torch.ones(3)}),
        r"weights\.pt: holds 1\. Allowed: .* Save that alone\.",
    ),
    "numbers": (
        lambda: _by_torch({"loss": 0.1}),
        r"holds loss\. Allowed: .* Save that alone\.",
    ),
    "one tensor": (lambda: _by_torch(torch.ones(3)), r"holds a Tensor\. Allowed"),
    "nothing in it": (lambda: _by_torch({}), r"holds nothing\. Allowed"),
    "empty file": (lambda: b"", r"is no readable file of weights \(EOFError\)\. Allowed"),
    "text": (lambda: b"abc", r"is no readable file of weights \("),
    "half a file": (
        lambda: _by_torch(_state())[:1000],
        r"is no readable file of weights \(PytorchStreamReader failed reading zip archive: [^.]*\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(here, refused, case):
    content, message = REFUSED[case]
    (here / "weights.pt").write_bytes(content())
    line = refused(weights="weights.pt")
    assert line.startswith("--weights weights.pt: ")
    assert re.search(message, line)


def test_absent_and_damaged_files(here, refused):
    line = refused(weights="absent.pt")
    assert "--weights absent.pt: cannot be read (No such file or directory). Allowed: " in line
    whole = safetensors.torch.save(_state())
    for content in (whole[: len(whole) // 2], b"", b"\xff" * 100):
        (here / "weights.safetensors").write_bytes(content)
        assert "is no readable safetensors file (" in refused(weights="weights.safetensors")


def _changed(**changes):
    state = _state()
    for name, value in changes.items():
        name = name.replace("_", ".")
        if value is None:
            del state[name]
        else:
            state[name] = value
    return state


DIFFERENT = {
    "missing": (
        _changed(**{"1_weight": None}),
        r"FACTORY factories\.py:dense: missing 1\.weight\.",
    ),
    "unexpected": (
        _changed(a=torch.ones(1), b=torch.ones(1), c=torch.ones(1), d=torch.ones(1)),
        r": unexpected a, b, c and 1 more\. Allowed: the names and shapes of its state_dict\(\)\.",
    ),
    "of other shapes": (
        _state(outputs=4),
        r": shape of 4\.weight \(4, 5\) for \(3, 5\), 4\.bias \(4\,\) for \(3,\)\. Allowed",
    ),
    "all kinds": (
        _changed(**{"1_weight": None, "4_bias": torch.ones(1), "more": torch.ones(1)}),
        r": missing 1\.weight; unexpected more; shape of 4\.bias \(1,\) for \(3,\)\. Allowed",
    ),
    "rounded to integers": (
        _changed(**{"1_weight": torch.ones(5, 48, dtype=torch.int8)}),
        r": numbers of 1\.weight torch\.int8 for torch\.float32\. Allowed",
    ),
}


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
@pytest.mark.parametrize("case", DIFFERENT)
def test_weights_that_do_not_fit(here, refused, case, ending):
    state, message = DIFFERENT[case]
    if ending == "pt":
        torch.save(state, here / "weights.pt")
    else:
        safetensors.torch.save_file(state, here / "weights.safetensors")
    line = refused(weights=f"weights.{ending}")
    assert line.startswith(f"--weights weights.{ending}: does not fit the network of FACTORY ")
    assert re.search(message, line)


def test_a_network_that_refuses_weights_for_a_reason_of_its_own(here, refused):
    (here / "strict.py").write_text(
        "from torch import nn\n"
        "class Strict(nn.Linear):\n"
        "    def _load_from_state_dict(self, *arguments):\n"
        "        arguments[-1].append('too old')\n"
        "def network():\n"
        "    return nn.Sequential(nn.Flatten(), Strict(48, 3))\n"
    )
    torch.save({"1.weight": torch.ones(3, 48), "1.bias": torch.ones(3)}, here / "weights.pt")
    line = refused(factory="strict.py:network", weights="weights.pt")
    assert "Error(s) in loading state_dict for Sequential: too old." in line
