"""Iterations from the names of files."""

import pytest

from flatness.errors import StorageError
from flatness.series.checkpoint_files import checkpoint_files

HOW = "say so"


@pytest.mark.parametrize(
    ("names", "after", "iterations"),
    [
        (["run/epoch_10.pt", "run/epoch_9.pt", "run/epoch_100.pt"], None, [9, 10, 100]),
        (["c-0005/model.safetensors", "c-10/model.safetensors"], None, [5, 10]),
        (["resnet18_v2_7.pt", "resnet18_v2_8.pt"], None, [7, 8]),
        (["resnet18_7.pt"], None, [7]),
        (["epoch=1-step=9.ckpt", "epoch=0-step=5.ckpt"], "step=", [5, 9]),
        (["epoch=1-step=9.ckpt", "epoch=0-step=5.ckpt"], "epoch=", [0, 1]),
        (["e=2-loss=0.31.ckpt", "e=10-loss=0.25.ckpt"], "e=", [2, 10]),
        (["a1/step3.pt", "b2/step4_best.pt"], "step", [3, 4]),
    ],
)
def test_iterations(names, after, iterations):
    found = checkpoint_files(names, "--weights", after, HOW)
    assert list(found) == iterations
    assert set(found.values()) == set(names)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["epoch=1-step=9.ckpt", "epoch=0-step=5.ckpt"], "in several numbers. .*: say so"),
        (["a.pt", "b.pt"], "holds no number"),
        (["run/a_5.pt", "run/a_05.pt"], "in no number"),
        (["a_1.pt", "b_2.pt"], "in more than numbers"),
    ],
)
def test_names_that_do_not_tell(names, message):
    with pytest.raises(StorageError, match=message):
        checkpoint_files(names, "--weights", None, HOW)


def test_patterns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/1/w.pt", "a/2/w.pt", "[3].pt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert checkpoint_files(["a/**/w.pt"], "--weights") == {1: "a/1/w.pt", 2: "a/2/w.pt"}
    # A file that is called like a pattern is that file.
    assert checkpoint_files(["[3].pt"], "--weights") == {3: "[3].pt"}
