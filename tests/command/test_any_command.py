"""Whatever words, files and networks `measure` is given: results, or one line."""

import json
import os
import pickle
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image

from flatness.__main__ import main

FACTORIES = (
    "dense",
    "convolution",
    "dead",
    "without_layers",
    "failing",
    "leaving",
    "number",
    "nothing",
    "absent",
    "Failing",
    "",
    "dense:dense",
    "x" * 300 + ".py:dense",
)
# Each option is left out or one of these.
OPTIONS = {
    "--arguments": ["{}", '{"outputs": 7}', '{"outputs": 0}', '{"x": 1}', "[]", "{", "NaN", ""],
    "--samples": ["1", "3", "0", "-1", "7", "1000000", "many"],
    "--channels": ["1", "3", "2", "-3"],
    "--size": ["4 4", "1 1", "0 4", "-1 4", "5 3", "4", "4 x"],
    "--mean": ["0 0 0", "1e30 0 0", "nan 0 0", "inf 0 0", "0", "0.5 0.5 0.5 0.5"],
    "--std": ["1 1 1", "1e-30 1 1", "0 1 1", "-1 1 1", "1e300 1 1", "1"],
    "--layer": ["1", "0", "", "absent", "../up", "\n"],
    "--dtype": ["float32", "float64", "float16", "int64"],
    "--device": ["cpu", "cuda", "meta"],
    "--threads": ["1", "0", "-1", "x"],
    "--chunk-size": ["1", "2", "0", "99999999999999999999"],
    "--powers": ["1 2", "0.5", "inf", "nan", "1e300"],
    "--weights-entry": ["ema", "model", "", "absent", "."],
    "--weights-prefix": ["module.", "", "absent."],
    "--output-entry": ["0", "-1", "3", "flatten", "logits", "", "."],
    "--overwrite": [""],
    "--absent": ["1"],
}
IMAGES = (
    "photos",
    "empty",
    "absent",
    "damaged",
    "text",
    "deep",
    "sizes",
    "file.png",
    "loop",
    "zero",
)
WEIGHTS = (
    "sound.safetensors",
    "sound.pt",
    "half.safetensors",
    "half.pt",
    "empty.pt",
    "code.pt",
    "code.safetensors",
    "absent.pt",
    "photos",
    "numbers.pt",
    "other.safetensors",
    "nan.pt",
    "checkpoint.pt",
    "two.pt",
    "shards.index.json",
    "text.index.json",
    "hidden.pt",
)
NUMBERS = count()
OUTPUTS = (
    "out/{}.nc",
    "{}.nc",
    "{}.txt",
    "photos",
    "",
    "out/../{}.nc",
    "/proc/{}.nc",
    "a" * 300 + ".nc",
)


class Malicious:
    """Unpickled, it makes a file called canary in the current folder."""

    def __reduce__(self):
        return os.system, ("touch canary",)


@pytest.fixture
def everything(here, photos):
    """Files of every kind in the current folder."""
    for name in ("empty", "damaged", "text", "deep", "sizes", "zero"):
        Path(name).mkdir()
    whole = (photos / "b.png").read_bytes()
    Path("damaged/1.png").write_bytes(whole[: len(whole) // 2])
    Path("text/1.png").write_text("no image")
    Path("zero/1.png").touch()
    Image.new("I;16", (4, 4)).save("deep/1.png")
    Image.new("RGB", (4, 4)).save("sizes/1.png")
    Image.new("RGB", (5, 4)).save("sizes/2.png")
    Path("file.png").write_bytes(whole)
    Path("loop").symlink_to("loop")
    torch.manual_seed(0)
    state = {
        "1.weight": torch.randn(5, 48),
        "1.bias": torch.randn(5),
        "4.weight": torch.randn(3, 5),
        "4.bias": torch.randn(3),
    }
    torch.save(state, "sound.pt")
    torch.save(state | {"1.bias": torch.full((5,), float("nan"))}, "nan.pt")
    torch.save({"loss": 0.1}, "numbers.pt")
    wrapped = {f"module.{name}": value for name, value in state.items()}
    torch.save({"model": wrapped, "ema": state, "epoch": 3}, "checkpoint.pt")
    torch.save({"model": state, "state_dict": {k: v + 1 for k, v in state.items()}}, "two.pt")
    torch.save({"model": state, "args": Malicious()}, "hidden.pt")
    index = {"weight_map": dict.fromkeys(state, "sound.safetensors")}
    Path("shards.index.json").write_text(json.dumps(index))
    Path("text.index.json").write_text("{}")
    torch.save(state | {"more": Malicious()}, "code.pt")
    safetensors.torch.save_file(state, "sound.safetensors")
    safetensors.torch.save_file({"other": torch.ones(1)}, "other.safetensors")
    Path("code.safetensors").write_bytes(pickle.dumps(Malicious()))
    Path("empty.pt").touch()
    for ending in ("pt", "safetensors"):
        content = Path(f"sound.{ending}").read_bytes()
        Path(f"half.{ending}").write_bytes(content[: len(content) // 2])
    return here


@st.composite
def _words(draw):
    """A command line in which each word is usual most of the time."""

    def usually(usual, others):
        return draw(st.sampled_from([usual] * 4 + list(others)))

    factory = usually("dense", FACTORIES)
    words = ["measure", factory if ".py" in factory else f"factories.py:{factory}"]
    words += ["--images", usually("photos", IMAGES)]
    words += ["--output", usually("out/{}.nc", OUTPUTS)]
    if draw(st.booleans()):
        words += ["--weights", usually("sound.pt", WEIGHTS)]
    else:
        words += ["--random-weights", usually("0", ["-1", "9223372036854775807", str(2**64), "x"])]
    for name in draw(st.sets(st.sampled_from(sorted(OPTIONS)), max_size=3)):
        value = draw(st.sampled_from(OPTIONS[name]))
        words += [name, *(value.split(" ") if value or name != "--overwrite" else [])]
    return words


def _check(code: int, error: str, output: str, before: set[Path], after: set[Path]) -> None:
    """See that there are results, or one line and no file."""
    assert not Path("canary").exists()
    assert "Traceback" not in error
    new = {path for path in after - before if "__pycache__" not in path.parts}
    if code == 0:
        written = Path(os.path.normpath(output))
        assert {written, written.with_suffix(".md")} <= new
        return
    lines = error.strip().splitlines()
    assert lines, "it says nothing"
    if code == 2:
        assert lines[0].startswith("usage: flatness")
    elif "violated" not in lines[-1]:
        assert code == 1
        assert len(lines) == 1, error
        assert "Allowed" in lines[0], error
        assert not {path for path in new if path.is_file()}


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(words=_words())
@pytest.mark.filterwarnings("ignore")
def test_any_command_gives_results_or_one_line(everything, capsys, words):
    fresh = str(next(NUMBERS))
    words = [word.replace("{}", fresh) if ".nc" in word else word for word in words]
    before = set(Path().rglob("*"))
    try:
        code = main(words)
    except SystemExit as ended:
        code = ended.code
    printed = capsys.readouterr()
    event({0: "measured", 1: "refused", 2: "no such word"}[code])
    _check(code, printed.err, words[words.index("--output") + 1], before, set(Path().rglob("*")))


@pytest.mark.parametrize(
    "words",
    [
        ["--weights", "code.pt"],
        ["--random-weights", "0", "--layer", "\udcff"],
    ],
)
def test_a_process_of_its_own_says_the_same(everything, words):
    command = [
        "measure",
        "factories.py:dense",
        "--images",
        "photos",
        "--output",
        "found.nc",
        *words,
    ]
    before = set(Path().rglob("*"))
    result = subprocess.run(
        [sys.executable, "-m", "flatness", *command], capture_output=True, text=True, timeout=100
    )
    _check(result.returncode, result.stderr, "found.nc", before, set(Path().rglob("*")))
