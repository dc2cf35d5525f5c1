"""Measuring 100 samples: every primitive, in several ways, on one thread."""

from functools import partial

import numpy as np
import torch

from tests.benchmarks.competitors.backpack_norms import backpack_norms
from tests.benchmarks.competitors.floor import floor
from tests.benchmarks.competitors.ours import ours
from tests.benchmarks.competitors.plain_loop import plain_loop
from tests.benchmarks.competitors.torch_func import torch_func
from tests.benchmarks.memory import peak
from tests.benchmarks.networks import NETWORKS, full, in_format
from tests.benchmarks.rows import Row, Tables
from tests.benchmarks.timing import compare

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
CHUNK_SIZES = (1, 5, 10, 25, 50)
WAYS = {
    "floor": floor,
    "flatness.measure": ours,
    "the same in chunks of 50": partial(ours, chunk_size=50),
    "torch.func": torch_func,
    "BackPACK": backpack_norms,
    "plain loop": plain_loop,
}


def comparisons() -> Tables:
    """By network, times and peak memory of all ways, compared with the floor."""
    tables = {}
    for name in NETWORKS:
        tables |= _compare(name)
    return tables


def _compare(name: str) -> Tables:
    layout = _fastest({key: prepared("floor", name, key) for key in FORMATS})
    chunk_size = _fastest(
        {size: prepared("torch.func", name, layout, size) for size in CHUNK_SIZES}, rounds=2
    )
    options = {"torch.func": (chunk_size,)}
    ways = {way: prepared(way, name, layout, *options.get(way, ())) for way in WAYS}
    _refuse_differences(name, layout, ways)
    # The loop takes so long that fewer rounds of it tell as much.
    slow = {way: ways.pop(way) for way in ("plain loop",)}
    times = compare(ways, "floor")
    times += compare({"floor": ways["floor"], **slow}, "floor", rounds=7, warm_up=0)[1:]
    sizes = {way: peak(prepare, way, name, layout, *options.get(way, ())) for way in WAYS}
    sizes = [Row(way, size, "MiB", size / sizes["floor"]) for way, size in sizes.items()]
    # The chunk size is said where it was chosen.
    said = {"torch.func": f"torch.func, chunks of {chunk_size}"}
    return {
        f"{what}, {name}": [Row(said.get(r.name, r.name), *_numbers(r)) for r in rows]
        for what, rows in (("time", times), ("peak memory", sizes))
    }


def prepare(way: str, name: str, layout: str, *options, samples: int = 100):
    """A call for one sample, and one for all."""
    return (
        prepared(way, name, layout, *options, samples=1),
        prepared(way, name, layout, *options, samples=samples),
    )


def prepared(way: str, name: str, layout: str, *options, samples: int = 100):
    """A call that measures samples of a network in one way."""
    network, inputs = in_format(*full(name, samples), FORMATS[layout])
    if way == "floor":
        network.requires_grad_(False)
    return partial(WAYS[way], network, inputs, *options)


def _fastest(ways, rounds: int = 5):
    """The name of the way that takes least time."""
    first = next(iter(ways))
    rows = compare(ways, first, rounds=rounds, warm_up=1)
    return min(rows, key=lambda row: row.value).name


def _numbers(row: Row) -> tuple:
    return row.value, row.unit, row.ratio, row.least, row.most


def _refuse_differences(name: str, layout: str, ways) -> None:
    """Refuse a comparison of things that differ."""
    expected = ways["plain loop"]()
    scale = float(expected.singular_values.max())
    for way, run in ways.items():
        if way in ("floor", "plain loop"):
            continue
        found, who = run(), f"{way} on {name}"
        assert np.allclose(found.singular_values, expected.singular_values, atol=1e-4 * scale), who
        for term in ("sq_norms", "sensitivities", "output_sq_norms"):
            for entry, values in getattr(expected, term).items():
                got = getattr(found, term)[entry]
                assert np.allclose(got.detach(), values.detach(), rtol=1e-3), (who, term, entry)
