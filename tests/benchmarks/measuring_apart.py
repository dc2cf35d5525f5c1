"""Measuring as `measuring` does it, in other numbers, larger networks, and two versions.

Every call is in a process of its own, the ways in turns; times are CPU times. The folder BEFORE, if
it is set, is a checkout of the version before.
"""

import os
import statistics
from collections.abc import Mapping
from functools import partial

import torch

from tests.benchmarks.apart import Cost, Limits, cost
from tests.benchmarks.competitors.ours import ours_in_part
from tests.benchmarks.measuring import FORMATS, WAYS, prepared
from tests.benchmarks.networks import full, in_format
from tests.benchmarks.rows import Row, Tables
from tests.benchmarks.timing import summarised

# The samples, the memory format, the ways, and the rounds.
# 300 samples are those of one checkpoint.
IN_PART = "without adaptive norms and layers' spectra"
OURS = ("floor", "flatness.measure", IN_PART)
OTHERS = ("torch.func", "BackPACK", "plain loop")
APART = {
    "VGG10 32x32x3": (300, "channels_last", OURS, 5),
    "MLP 784-500-500-500-10": (300, "contiguous", OURS, 5),
    "resnet18 32x32x3": (20, "channels_last", (*OURS, *OTHERS), 3),
    "vit_b_16 224x224x3": (4, "contiguous", (*OURS, *OTHERS), 2),
}
# Samples at once, so that gradients of all outputs fit into memory.
APART_OPTIONS = {"torch.func": (1,)}
BEFORE = "version before"
# Ways that take longer are left out.
LIMITS = Limits(seconds=60)


def comparisons() -> Tables:
    """By network, CPU times and peak memory of all ways, and of two versions."""
    tables = {}
    for name, how in APART.items():
        tables |= apart(name, *how, os.environ.get("BEFORE"))
    return tables


def apart(
    name: str, samples: int, layout: str, ways: tuple[str, ...], rounds: int, before: str | None
) -> Tables:
    """CPU time and peak memory over the floor, and those of the version before over this one's.

    Args:
        name: of the network.
        samples: how many are measured.
        layout: a memory format.
        ways: "floor", "flatness.measure" and others, which are stopped earlier.
        rounds: how often each is called, in turns.
        before: a folder with another version of the package, or None.
    """
    calls = {way: (way, LIMITS, None) for way in ways}
    for way in OURS:
        calls[way] = (way, Limits(), None)
    if before:
        calls[BEFORE] = ("flatness.measure", Limits(), before)
    found: dict[str, list[Cost]] = {called: [] for called in calls}
    for _ in range(rounds):
        for called, (way, limits, checkout) in calls.items():
            if any(each.stopped for each in found[called]):
                continue
            arguments = [way, name, layout, *APART_OPTIONS.get(way, ())]
            task = cost(
                "measuring_apart:prepare", *arguments, samples, limits=limits, checkout=checkout
            )
            found[called].append(task)
    title = f"{name}, {samples} samples"
    tables = _over(title, {way: found[way] for way in ways}, "floor")
    if before:
        versions = {called: found[called] for called in ("flatness.measure", BEFORE)}
        tables |= _over(f"{title}, two versions", versions, "flatness.measure")
    return tables


def _over(title: str, found: Mapping[str, list[Cost]], base: str) -> Tables:
    """CPU time and peak memory of what ran, over a base, and what did not."""
    ran = {called: each for called, each in found.items() if not any(one.stopped for one in each)}
    stopped = [
        Row(called, None, one.stopped)
        for called, each in found.items()
        for one in each[-1:]
        if called not in ran
    ]
    times = summarised(
        {called: [one.seconds for one in each] for called, each in ran.items()}, base
    )
    sizes = {
        called: statistics.median(one.mebibytes for one in each) for called, each in ran.items()
    }
    memory = [Row(called, size, "MiB", size / sizes[base]) for called, size in sizes.items()]
    return {
        f"CPU time, {title}": [*times, *stopped],
        f"peak memory, {title}": [*memory, *stopped],
    }


def prepare(way: str, name: str, layout: str, *rest):
    """As `measuring.prepare`, of some samples; what is called first is a small network."""
    *options, samples = rest
    tiny = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2)).eval()
    small = torch.rand(2, 3, 2, 2)
    if way == IN_PART:
        network = in_format(*full(name, samples), FORMATS[layout])
        return partial(ours_in_part, tiny, small), partial(ours_in_part, *network)
    warm_up = partial(WAYS[way], tiny, small, *options)
    return warm_up, prepared(way, name, layout, *options, samples=samples)
