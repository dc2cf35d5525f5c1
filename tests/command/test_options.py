"""The words of the command line."""

import re
import subprocess
import sys

import pytest

from flatness.__main__ import main

REFUSED = {
    "no samples": ({"samples": 0}, r"--samples 0\. Allowed: 1 or more\. Raise it\."),
    "no threads": ({"threads": 0}, r"--threads 0\. Allowed: 1 or more"),
    "no chunks": ({"chunk_size": -1}, r"--chunk-size -1\. Allowed: 1 or more"),
    "no pixels": ({"size": (0, 4)}, r"--size 0 4\. Allowed: a height and a width of 1 or more"),
    "negative seed": ({"random_weights": -1}, r"--random-weights -1\. Allowed: 0 or more"),
    "seed beyond 63 bits": (
        {"random_weights": 2**63},
        r"--random-weights 9223372036854775808\. Allowed: 0 or more, below 2\^63",
    ),
    "one mean": (
        {"mean": [0.5]},
        r"--mean 0\.5: 1 for 3 channels\. Allowed: one number per channel",
    ),
    "three deviations for grey images": (
        {"std": [0.5, 0.5, 0.5], "channels": 1},
        r"--std 0\.5 0\.5 0\.5: 3 for 1 channels",
    ),
    "mean that is no number": ({"mean": [0, "nan", 0]}, r"--mean 0 nan 0\. Allowed: finite"),
    "deviation of zero": ({"std": [1, 0, 1]}, r"--std 1 0 1\. Allowed: numbers above 0"),
    "power below one": ({"powers": [1, 0.5]}, r"--powers 0\.5\. Allowed: finite numbers of 1"),
    "infinite power": ({"powers": ["inf"]}, r"--powers inf\. Allowed: finite"),
    "arguments that are no JSON": (
        {"arguments": "{outputs: 3}"},
        r"--arguments \{outputs: 3\}: is no JSON \(Expecting property name .*\)\. Allowed: an "
        r"object.*double quotes",
    ),
    "arguments that are a list": ({"arguments": "[3]"}, r"--arguments \[3\]: is no object"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(refused, case):
    options, message = REFUSED[case]
    assert re.match(message, refused(**options))


def test_words_that_the_command_line_does_not_have(command, capsys):
    for words in (
        [],
        ["measure"],
        ["weigh"],
        [*command(), "--flatten"],
        [*command(), "--weights", "file.pt"],
        [*command(), "--over"],
        command(channels=2),
        command(dtype="float16"),
        command(samples="many"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2, words
        assert "usage: flatness" in capsys.readouterr().err


def test_weights_or_a_seed_must_be_chosen(command, capsys):
    words = command()
    at = words.index("--random-weights")
    with pytest.raises(SystemExit) as caught:
        main(words[:at] + words[at + 2 :])
    assert caught.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "one of the arguments --weights --random-weights is required" in line


def test_help_is_quick_and_names_every_option(command):
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "flatness", "measure", "--help"],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert result.returncode == 0
    words = " ".join(result.stdout.split())
    for sentence in (
        "put in eval mode",
        "The code of FACTORY is run, so name only code that you trust.",
        "names that begin with a dot are passed over",
        "flatness measure my_network.py:build",
    ):
        assert sentence in words
    for option in (
        "arguments",
        "weights",
        "random-weights",
        "images",
        "samples",
        "channels",
        "size",
        "mean",
        "std",
        "layer",
        "dtype",
        "device",
        "chunk-size",
        "powers",
        "output",
        "overwrite",
        "threads",
    ):
        assert f"  --{option}" in result.stdout
    imported = set(re.findall(r"\| +(\w+)\n", result.stderr))
    assert "argparse" in imported
    assert not imported & {"torch", "xarray", "numpy", "PIL"}
