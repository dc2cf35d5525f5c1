"""The command of docs/your_own_network.md runs and prints what stands there."""

import re
import shlex
import subprocess
import sys

import pytest

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
SKIPPED = "..."


def _blocks(root):
    """The code blocks of the section, with the language they name."""
    text = (root / "docs/your_own_network.md").read_text()
    section = text.partition("## Without a script\n")[2].partition("\n## What else")[0]
    return re.findall(r"^```(\w*)\n(.*?)^```$", section, re.M | re.S)


def _assert_printed(shown, printed):
    """Every line shown was printed, in order; lines are passed over where dots stand only.

    Numbers agree to four digits, because the network's random weights do not agree to more
    between processors.
    """
    lines = iter(printed)
    skipping = False
    for expected in shown:
        if expected == SKIPPED:
            skipping = True
            continue
        found = next(lines)
        while skipping and NUMBER.sub("", found) != NUMBER.sub("", expected):
            found = next(lines)
        skipping = False
        assert NUMBER.sub("", found) == NUMBER.sub("", expected)
        numbers = [[float(n) for n in NUMBER.findall(line)] for line in (found, expected)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-4), found
    assert skipping or next(lines, None) is None


def test_the_comparison_sees_differences():
    printed = ["a 1", "b 2", "c 3"]
    _assert_printed(["a 1", "...", "c 3"], printed)
    _assert_printed(["a 1.00001", "..."], printed)
    for shown in (["a 2", "..."], ["a 1", "c 3"], ["a 1", "b 2"], ["...", "c 4"]):
        with pytest.raises(AssertionError):
            _assert_printed(shown, printed)
    with pytest.raises(StopIteration):
        _assert_printed(["...", "d 3"], printed)


def test_the_command(root, tmp_path):
    images = next(text for _, text in _blocks(root) if "photos" in text)
    code = re.sub(r"^(>>>|\.\.\.) ", "", images, flags=re.M)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=100)
    (shown,) = [text for language, text in _blocks(root) if not language]
    words, _, output = shown.replace("\\\n", "").partition("\n")
    prompt, command, *arguments = shlex.split(words)
    assert (prompt, command) == ("$", "flatness")
    result = subprocess.run(
        [sys.executable, "-m", "flatness", *arguments, "--threads", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (result.returncode, result.stderr) == (0, "")
    _assert_printed(output.splitlines(), result.stdout.splitlines())
    assert (tmp_path / "resnet18.md").read_text() == result.stdout
    assert (tmp_path / "resnet18.nc").exists()
