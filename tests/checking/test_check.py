"""A whole check of a small publication."""

import json
import re
import shutil

import pytest

from flatness.__main__ import main
from flatness.publication.configuration import portable
from flatness.publication.merging import merge
from flatness.publication.opening import read_results
from flatness.publication.publish import publish
from flatness.settings import load_settings
from tests.checking.small_study import RUNS, configuration, published


def _files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_sound_publication_is_as_published(sound, checked, tmp_path):
    before = _files(sound)
    code, printed, _ = checked(sound)
    assert code == 0
    plan, _, rest = printed.partition("\n1. configuration\n")
    # 60 iterations on 1,437 training images, with evaluations: all within a minute of 100 s and 14.
    assert re.search(r"6\. one run: train small_lr0.1_bs20_seed0 anew, \d+ of its 60", plan)
    assert "draw 2 anew" in plan
    assert "9 of 9 tables are the same, byte for byte" in rest
    assert "2 figures are drawn anew" in rest
    assert "2 have the same bytes" in rest
    assert "none violated; least slack" in rest
    assert "loss and accuracy of all images: the same bits" in rest
    assert "measured quantities: the same bits" in rest
    assert "README.md is the same, byte for byte" in rest
    assert "report.html is the same, byte for byte" in rest
    assert rest.count(": as published (") == 6
    assert _files(sound) == before
    made = tmp_path / "made"
    folders, pages = {"tables", "figures"}, {"README.md", "report.html"}
    assert {file.name for file in made.iterdir()} == folders | pages | {"check.txt"}
    assert (made / "check.txt").read_text() == printed
    for name in ("tables", "figures"):
        for file in (sound / name).iterdir():
            assert (made / name / file.name).read_bytes() == file.read_bytes()


def test_it_is_done_again_over_an_earlier_check_and_over_nothing_else(
    sound, checked, tmp_path, only
):
    only()
    assert checked(sound)[0] == checked(sound)[0] == 0
    (tmp_path / "made/check.txt").write_text("my notes\n")
    code, printed, error = checked(sound)
    assert (code, printed) == (1, "")
    assert "holds files that no check has written" in error


def test_an_interrupted_check_is_made_again(sound, checked, tmp_path, only, monkeypatch, capsys):
    only("tables")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("flatness.checking.steps.check_figures", interrupted)
        words = ["check", str(sound), "--output", str(tmp_path / "made")]
        assert main(words) == 130
    assert "starts again" in capsys.readouterr().err
    assert (tmp_path / "made/tables/claims.csv").exists()
    assert checked(sound)[0] == 0


def test_a_step_that_fails_is_one_line_and_the_others_are_made(sound, checked, only, monkeypatch):
    only()

    def failing(*_, **__):
        raise RuntimeError("no such\nshape")

    monkeypatch.setattr("flatness.checking.steps.check_figures", failing)
    code, printed, error = checked(sound)
    assert code == 1
    assert "DIFFERS: figures: cannot be made anew (RuntimeError: no such shape)" in printed
    assert printed.count(": as published (") == 5
    assert "Allowed" in error


def test_nothing_is_written_into_the_publication(sound, capsys):
    before = _files(sound)
    assert main(["check", str(sound), "--output", str(sound / "anew")]) == 1
    assert "in which nothing is written" in capsys.readouterr().err
    assert _files(sound) == before


@pytest.mark.parametrize(("iterations", "count"), [(0, 1), (1, 2), (59, 5), (10**6, 6)])
def test_run_and_iterations_are_chosen(sound, checked, only, iterations, count):
    only("run")
    code, printed, _ = checked(sound, "--run", RUNS[1], "--iterations", str(iterations))
    assert code == 0
    assert f"{RUNS[1]}: {count} of its 6 checkpoints" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--run", "nobody"], f"--run nobody: is no run of the publication. Allowed: {RUNS[0]}"),
        (["--iterations", "-1"], "--iterations -1. Allowed: 0 or more"),
        (["--own-code", "nowhere"], "--own-code nowhere: is no folder"),
    ],
)
def test_options_out_of_range_are_refused(sound, checked, words, message):
    code, printed, error = checked(sound, *words)
    assert (code, printed) == (1, "")
    assert message in error


def test_what_is_no_publication_is_refused(checked, tmp_path):
    assert "is no folder" in checked(tmp_path / "nowhere")[2]
    (tmp_path / "empty").mkdir()
    assert "results.nc: no such file" in checked(tmp_path / "empty")[2]


def test_images_that_are_not_here_leave_the_other_steps(tmp_path, checked, change, copy, only):
    only("tables", "run")
    given = configuration()
    given["datasets"]["numbers"] = {"source": "torchvision", "dataset": "CIFAR10", "outputs": 10}

    def other(results):
        results.attrs["configuration"] = json.dumps(portable(load_settings(given, "other")))

    change(other)
    publish(read_results(copy / "results.nc"), copy)
    code, printed, _ = checked(copy, "--data", str(tmp_path / "none"))
    assert code == 0
    assert "cifar-10-python.tar.gz is absent. Name with --data the folder that holds" in printed
    assert "one run: NOT CHECKED (" in printed
    assert printed.count(": as published (") == 5


def test_parts_of_several_machines(sound, copy, checked, change, only):
    only("tables")

    def renamed(results):
        results["small"]["processor"][:] = "another processor"

    change(renamed)
    one, other = (read_results(folder / "results.nc") for folder in (sound, copy))
    one["small"] = one["small"].isel(run=[0])
    other["small"] = other["small"].isel(run=[1, 2])
    publish(merge({"one.nc": one, "other.nc": other}), copy)
    code, printed, _ = checked(copy)
    assert code == 0
    assert "3 runs of small, computed in 2 parts" in printed


def test_a_study_without_claims(copy, checked, change, only):
    only("tables")

    def unclaimed(results):
        given = json.loads(results.attrs["configuration"])
        given["claims"] = {}
        results.attrs["configuration"] = json.dumps(given)

    change(unclaimed)
    shutil.rmtree(copy / "tables")
    publish(read_results(copy / "results.nc"), copy)
    code, printed, _ = checked(copy)
    assert code == 0
    assert "4 of 4 tables are the same" in printed


def test_code_of_ones_own_is_run_only_where_it_is_named(tmp_path, monkeypatch, checked, only):
    only("run")
    code = tmp_path / "code"
    code.mkdir()
    (code / "own.py").write_text(
        "from pathlib import Path\nfrom torch import nn\n\n"
        "def build(input_shape, outputs):\n"
        "    Path('was_run').touch()\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))\n"
    )
    given = configuration()
    given["studies"]["small"]["network"] = {"factory": "own.py:build"}
    given["figures"] = {}
    (tmp_path / "scratch").mkdir()
    monkeypatch.chdir(code)
    folder = published(tmp_path / "published", tmp_path / "scratch", given)
    (code / "was_run").unlink()
    monkeypatch.chdir(tmp_path)
    found, printed, _ = checked(folder)
    assert found == 0
    assert "it needs the code own.py:build, which is no part of a publication" in printed
    assert "one run: NOT CHECKED" in printed
    assert not list(tmp_path.rglob("was_run"))
    found, printed, _ = checked(folder, "--own-code", "code", "--iterations", "2")
    assert found == 0
    assert "loss and accuracy of all images: the same bits" in printed
    assert (code / "was_run").exists()
