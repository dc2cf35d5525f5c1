"""The parts of the benchmarks, at sizes of a test."""

from pathlib import Path

import pytest
import torch

from flatness.measurement.proof import twin_positions
from tests.benchmarks import apart, growth, imagenet, memory, stages
from tests.benchmarks.training import SHAPES, advancing, images, plan


def _allocates(mebibytes):
    return lambda: None, _Allocation(mebibytes)


class _Allocation:
    """A call that fills so much memory, in several pieces, and frees it."""

    def __init__(self, mebibytes):
        self.mebibytes = mebibytes

    def __call__(self):
        held = [bytearray(b"x" * 2**20) for _ in range(self.mebibytes)]
        del held


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_peak_memory_is_what_a_call_takes():
    assert memory.peak(_allocates, 100) == pytest.approx(100, abs=8)


def filling(mebibytes):
    return lambda: None, _Allocation(mebibytes)


def working(_seconds):
    def forever():
        while True:
            pass

    return lambda: None, forever


def failing():
    raise ValueError("on purpose")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_a_call_in_a_process_of_its_own_is_measured_and_stopped():
    limits = apart.Limits(seconds=5, gibibytes=1)
    found = apart.cost("test_parts:filling", 100, limits=limits)
    assert found.mebibytes == pytest.approx(100, abs=8)
    assert 0 < found.seconds < 5
    assert apart.cost("test_parts:filling", 2000, limits=limits).stopped == "stopped at 1 GiB"
    limits = apart.Limits(seconds=1, gibibytes=1)
    assert apart.cost("test_parts:working", 1, limits=limits).stopped == "stopped after 1 s"
    assert apart.cost("test_parts:failing").stopped == "does not run"


def test_rows_say_why_there_is_no_number():
    stopped = apart.Cost(stopped="stopped after 300 s")
    one, other = imagenet.rows({"ours": apart.Cost(2.0, 8.0), "before": stopped}, "seconds", "s")
    assert (one.value, one.unit, one.ratio) == (2.0, "s", 1.0)
    assert (other.value, other.unit, other.ratio) == (None, "stopped after 300 s", None)


def _normalised():
    """A network with parameters of every kind, and two samples."""
    convolution, norm = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)
    layers = [convolution, norm, torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3)]
    return torch.nn.Sequential(*layers).eval(), torch.rand(2, 3, 8, 8)


def test_stages_add_up_to_the_whole():
    rows = {row.name: row for row in stages._stages(*_normalised(), rounds=3)}
    assert set(stages.STAGES) < set(rows)
    parts = [rows[name].value for name in (*stages.STAGES, "everything else")]
    assert sum(parts) == pytest.approx(rows["flatness.measure"].value, rel=0.5)
    assert all(part > 0 for part in parts)


def test_multiplications_are_those_that_were_counted_by_hand():
    """A convolution of 3x3 and 4 outputs: 100 positions of 27 by 4, for each sample and output.

    The samples that are run again have one random combination of the outputs.
    """
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.Flatten())
    network.append(torch.nn.Linear(4 * 100, 2)).eval()
    inputs = torch.rand(5, 3, 12, 12)
    again = len(twin_positions(5))
    assert stages._multiplications(network, inputs) == (5 * 2 + again) * 100 * 27 * 4


@pytest.mark.parametrize("name", SHAPES)
def test_iterations_go_on_where_they_ended(name):
    advance = advancing(plan(name, 8), *images(name))
    advance(2)
    advance(3)


def test_growth_varies_one_thing():
    warm_up, run = growth.prepare("mlp", "width", 16)
    assert warm_up().sizes["sample"] == 1
    found = run()
    assert (found.sizes["sample"], found.sizes["output"]) == (100, 10)
