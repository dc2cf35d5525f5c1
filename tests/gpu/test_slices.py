"""Every slice, rehearsed without a GPU, at sizes of a test."""

import copy
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from tests.benchmarks.rows import Row
from tests.gpu import bits, measured, needs, paper, rates
from tests.gpu.findings import Findings
from tests.gpu.gpu_page import markdown
from tests.gpu.sizes import FULL, REHEARSAL
from tests.gpu.slices import run
from tests.workflow.small_workflow import SMALL


@pytest.fixture
def rehearsed(tmp_path):
    """A function: rehearse a slice; its rows by table and name."""

    def go(name, sizes=REHEARSAL, seconds=3600.0, machine="here"):
        found = Findings(tmp_path / "state", machine)
        run(name, found, "cpu", sizes, seconds)
        return {(each.table, each.row.name): each.row for each in found.of(name)}

    return go


def test_the_same_bytes_in_processes_of_their_own(rehearsed):
    rows = rehearsed("bits")
    compared = {
        name: row.unit for (table, name), row in rows.items() if table.startswith("the same bytes")
    }
    assert compared == dict.fromkeys(["again", "killed and resumed", "beside others"], "equal")
    (tests,) = (row for (table, _), row in rows.items() if table.startswith("tests"))
    assert tests.value >= 3
    assert tests.unit == "passed, 0 skipped"


def test_other_bytes_and_failing_tests_are_told(rehearsed, monkeypatch, tmp_path):
    failing = tmp_path / "test_failing.py"
    failing.write_text("def test_one():\n    pass\n\ndef test_two():\n    assert False\n")
    for way in ("_run", "_killed", "_beside"):
        monkeypatch.setattr(bits._Runs, way, lambda *_: True)
    monkeypatch.setattr(bits, "_bytes", lambda words: os.urandom(8))
    rows = rehearsed("bits", replace(REHEARSAL, tests=(str(failing),)))
    units = [row.unit for row in rows.values()]
    assert units == ["DIFFERENT"] * 3 + ["passed, 0 skipped; failed: test_two"]


def test_rates_of_processes(rehearsed):
    rows = rehearsed("rates")
    table = "iterations per second, mlp, batch 20, all processes"
    assert rows[table, "eager"].value > 0
    assert rows[table, "eager, 2 processes"].value > 0
    assert (table, "eager, 2 processes, MPS") in rows


def test_what_a_checkpoint_takes(rehearsed):
    rows = rehearsed("measuring")
    table = "a checkpoint, mlp, tanh, 2 samples"
    assert rows[table, "floor"].ratio == 1
    assert rows[table, "flatness.curvature"].value > 0
    assert rows[table, "waits of measure"].unit == "only a GPU tells"
    assert rows["singular values from 100 Gram matrices, 3 x 3", "on the device"].value > 0


@pytest.fixture
def one_run(tmp_path):
    """A configuration of one short run."""
    settings = copy.deepcopy(SMALL)
    study = settings["studies"]["mlp"]
    study["sweep"], study["seeds"] = study["sweep"][:1], [0]
    del settings["figures"], settings["claims"]
    file = tmp_path / "one.yaml"
    file.write_text(yaml.safe_dump(settings))
    return str(file)


def test_the_paper_goes_on_where_it_was(rehearsed, one_run):
    sizes = replace(REHEARSAL, configuration=one_run)
    table = "the paper, full length, through the workflow"
    first = rehearsed("paper", sizes, paper._TO_END + 1.0)  # hardly begun
    assert first[table, "runs measured"].value == 0
    assert first[table, "ended"].unit == "stopped in time"
    second = rehearsed("paper", sizes)
    assert second[table, "runs trained"].value == second[table, "runs measured"].value == 1
    assert second[table, "runs measured"].unit == "of 1"
    assert second[table, "ended"].unit == "all is done"
    assert second[table, "seconds so far"].value > first[table, "seconds so far"].value


def test_no_step_begins_that_may_end_too_late(rehearsed, capsys):
    assert rehearsed("rates", replace(REHEARSAL, begun=60), seconds=30) == {}
    assert "no time left, call the slice again" in capsys.readouterr().out


def test_what_is_known_is_not_taken_again(rehearsed, monkeypatch):
    asked = []

    def noting(way, network, *_):
        asked.append((network, way))
        yield Row(way, 1.0, "iterations/s")

    monkeypatch.setattr(rates, "_rated", noting)
    rehearsed("rates")
    before = len(asked)
    rehearsed("rates")
    assert len(asked) == before == 3
    rehearsed("rates", machine="another card")
    assert len(asked) == 2 * before


def test_what_is_cut_off_is_taken_anew(rehearsed, capsys):
    assert rehearsed("bits", replace(REHEARSAL, tests=()), seconds=0.5) == {}
    assert "again: cut off, call the slice again" in capsys.readouterr().out


def test_findings_are_kept_and_replaced(tmp_path):
    found = Findings(tmp_path, "a card")
    found.put("rates", "a table", Row("eager", 1.0, "iterations/s"))
    found.put("rates", "a table", Row("eager", 2.0, "iterations/s"))
    again = Findings(tmp_path, "another card")
    assert [each.row.value for each in again.all()] == [2.0]
    assert not again.known("rates", "a table", "eager")
    again.put("rates", "a table", Row("eager", None, "no MPS here"))
    page = markdown(Findings(tmp_path, "a card").all())
    assert page.index("a card:") < page.index("| a table | eager | 2 | iterations/s |")
    assert page.index("another card:") < page.index("| a table | eager |  | no MPS here |")


def test_a_full_slice_fits_its_steps():
    """Of each slice a step can begin in nine minutes."""
    for module in (bits, rates, measured, paper):
        for step in module.steps(Path("nowhere"), "cpu", FULL):
            assert step.seconds < 540


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is at hand")
def test_without_a_gpu_nothing_is_written(root, tmp_path):
    page = tmp_path / "gpu.md"
    words = [
        sys.executable,
        "-m",
        "tests.gpu",
        str(page),
        "rates",
        "--state",
        str(tmp_path / "state"),
    ]
    ended = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "torch finds no usable GPU" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not page.exists()


def test_an_unknown_slice_is_refused(root, tmp_path):
    words = [sys.executable, "-m", "tests.gpu", str(tmp_path / "gpu.md"), "speed"]
    ended = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    assert ended.stderr == (
        "SLICE speed. Allowed: bits, rates, measuring, paper. Name some of these.\n"
    )


def test_absent_packages_are_named(monkeypatch):
    monkeypatch.setitem(needs.MODULES, "rates", ("numpy", "no_such_module"))
    assert needs.missing(["rates", "measuring"]) == "slice rates lacks no_such_module"
    assert needs.missing(["measuring"]) == ""


def test_rows_can_be_written_as_they_are_read():
    row = Row("x", 1.0, "ms", 2.0, 1.5, 2.5)
    assert Row(**json.loads(json.dumps(vars(row)))) == row
