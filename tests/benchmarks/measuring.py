"""Measuring 100 samples: every primitive, in several ways, on one thread."""

from functools import partial

import numpy as np
import torch

from competitors.backpack_norms import backpack_norms
from competitors.floor import floor
from competitors.ours import ours
from competitors.plain_loop import plain_loop
from competitors.torch_func import torch_func
from networks import NETWORKS, full, in_format
from timing import Compared, compare

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
CHUNK_SIZES = (1, 5, 10, 25, 50)


def comparisons() -> dict[str, list[Compared]]:
    """By network: all ways, compared with the floor."""
    return {f"measuring, {name}": _compare(name) for name in NETWORKS}


def _compare(name: str) -> list[Compared]:
    layout = _fastest({key: partial(floor, *_in(name, key)) for key in FORMATS})
    network, inputs = _in(name, layout)
    chunk_size = _fastest(
        {size: partial(torch_func, network, inputs, size) for size in CHUNK_SIZES}, rounds=2
    )
    ways = {
        "floor": partial(_without_weights, network, inputs),
        "flatness.measure": partial(ours, network, inputs),
        f"torch.func, chunks of {chunk_size}": partial(torch_func, network, inputs, chunk_size),
        "BackPACK": partial(backpack_norms, network, inputs),
    }
    expected = plain_loop(network, inputs)
    for way, run in list(ways.items())[1:]:
        _same(run(), expected, f"{way} on {name}")
    # The loop takes so long that fewer rounds of it tell as much.
    rows = compare(ways, "floor")
    slow = {"floor": ways["floor"], "plain loop": partial(plain_loop, network, inputs)}
    return rows + compare(slow, "floor", rounds=7, warm_up=0)[1:]


def _in(name: str, layout: str):
    network, inputs = full(name)
    return in_format(network, inputs, FORMATS[layout])


def _without_weights(network, inputs) -> None:
    network.requires_grad_(False)
    floor(network, inputs)
    network.requires_grad_(True)


def _fastest(ways, rounds: int = 5):
    """The name of the way that takes least time."""
    first = next(iter(ways))
    rows = compare(ways, first, rounds=rounds, warm_up=1)
    return min(rows, key=lambda row: row.seconds).name


def _same(found, expected, who: str) -> None:
    """Refuse a comparison of things that differ."""
    scale = float(expected.singular_values.max())
    assert np.allclose(found.singular_values, expected.singular_values, atol=1e-4 * scale), who
    for term in ("sq_norms", "sensitivities", "output_sq_norms"):
        for name, values in getattr(expected, term).items():
            got = getattr(found, term)[name]
            assert np.allclose(got.detach(), values.detach(), rtol=1e-3), (who, term, name)
