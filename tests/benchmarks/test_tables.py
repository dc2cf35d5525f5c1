"""Ratios, exponents and tables of made-up numbers."""

import csv
import subprocess
import sys

import pytest

from tests.benchmarks import page
from tests.benchmarks.growth import exponent
from tests.benchmarks.rows import Row
from tests.benchmarks.timing import compare, summarised
from tests.benchmarks.workflow import job_seconds

TABLES = {
    "time, one": [
        Row("floor", 12.0, "ms", 1.0, 1.0, 1.0),
        Row("ours, in chunks", 30.0, "ms", 2.5, 2.25, 3.125),
    ],
    "time, other": [Row("ours, at once", 5.0, "ms", 1.25), Row("calls", 7.0, "")],
}


def test_ratios_are_taken_round_by_round():
    """A round that was disturbed disturbs both, and not their ratio."""
    taken = {"base": [1.0, 10.0, 1.0, 1.0], "way": [2.0, 20.0, 2.0, 3.0]}
    base, way = summarised(taken, "base")
    assert (base.value, base.ratio, base.least, base.most) == (1000.0, 1.0, 1.0, 1.0)
    assert (way.value, way.ratio, way.least, way.most) == (2500.0, 2.0, 2.0, 2.25)


def test_ways_are_timed_in_turns():
    order = []
    ways = {name: (lambda name=name: order.append(name)) for name in ("one", "other")}
    rows = compare(ways, "one", rounds=3, warm_up=1)
    assert order == ["one", "other"] * 4
    assert [row.name for row in rows] == ["one", "other"]


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_exponent_of_a_power(power):
    sizes = (3, 10, 50)
    assert exponent(sizes, [7 * size**power for size in sizes]) == pytest.approx(power)


def test_pages_hold_every_row(tmp_path):
    page.write(TABLES, tmp_path / "new", "part")
    with (tmp_path / "new/part.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [
        ["time, one", "floor", "12", "ms", "1.00", "1.00", "1.00"],
        ["time, one", "ours, in chunks", "30", "ms", "2.50", "2.25", "3.12"],
        ["time, other", "ours, at once", "5", "ms", "1.25", "", ""],
        ["time, other", "calls", "7", "", "", "", ""],
    ]
    text = (tmp_path / "new/part.md").read_text()
    for row in rows:
        assert f"| {' | '.join(row)} |" in text
    assert text.startswith(f"# Benchmark: part\n\n{page.machine()}")


def test_what_was_stopped_has_a_reason_for_its_value():
    tables = {"time, one": [Row("ours", 3.0, "s", 1.0), Row("other", None, "stopped after 60 s")]}
    assert page.lines(tables)[1] == ("time, one", "other", "", "stopped after 60 s", "", "", "")
    assert page.in_short(tables).splitlines()[-1] == "| time, one | 1.00 | stopped after 60 s |"


def test_short_form_has_a_line_for_each_comparison():
    lines = page.in_short(TABLES).splitlines()[2:]
    assert lines[0] == "|  | floor | ours | calls |"
    assert lines[2] == "| time, one | 1.00 (1.00 to 1.00) | 2.50 (2.25 to 3.12) |  |"
    assert lines[3] == "| time, other |  | 1.25 | 7 |"


def test_inserting_changes_its_own_part_only(tmp_path):
    short = tmp_path / "speed.md"
    short.write_text(
        "one\n<!-- begin part -->\nold\n<!-- end part -->\n"
        "two\n<!-- begin other -->\nkept\n<!-- end other -->\n"
    )
    page.insert(TABLES, short, "part")
    text = short.read_text()
    assert "old" not in text
    assert "ours" in text
    assert text.startswith("one\n<!-- begin part -->\n")
    assert text.endswith("two\n<!-- begin other -->\nkept\n<!-- end other -->\n")
    page.insert(TABLES, short, "part")
    assert short.read_text() == text
    page.insert(TABLES, short, "a part without markers")
    assert short.read_text() == text


def test_the_page_on_speed_has_a_place_for_the_tables(root):
    text = (root / "docs/speed.md").read_text()
    for part in ("measuring", "training", "workflow"):
        assert text.count(f"<!-- begin {part} -->\n") == text.count(f"<!-- end {part} -->") == 1


def test_an_unknown_part_is_refused_in_one_line(root, tmp_path):
    command = [sys.executable, "-m", "tests.benchmarks", tmp_path, "measurng"]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("ONLY = measurng. Allowed: measuring, ")
    assert result.stderr.count("\n") == 1


def test_times_of_jobs_are_summed_by_rule(tmp_path):
    for name, seconds in (("train_run/a", 2), ("train_run/b", 3), ("measure_layer/a/1", 4)):
        file = tmp_path / f"benchmarks/{name}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"s\th:m:s\n{seconds}\t0:00:0{seconds}\n")
    assert job_seconds(tmp_path) == {"train_run": 5.0, "measure_layer": 4.0}
