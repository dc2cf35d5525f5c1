"""Measuring networks of torchvision on images of 224 x 224, beside the version before.

Each measurement is in a process of its own, on one thread; memory is what measuring adds to the
loaded network. What exceeds a limit is stopped, and its row says so.
"""

import os
from functools import partial

import torch

import flatness
from tests.benchmarks.apart import Cost, cost
from tests.benchmarks.networks import torchvision_network
from tests.benchmarks.rows import Row, Tables

# Network, outputs, images, and whether the version before is measured: it takes one backward pass
# of each sample for each output and most parameters, too long for many of them.
CASES = (
    ("resnet18", 2, 1, True),
    ("resnet18", 2, 4, False),
    ("resnet50", 2, 1, False),
    ("resnet50", 2, 4, False),
    ("vit_b_16", 10, 1, True),
    ("vit_b_16", 10, 4, False),
    ("resnet18", 1000, 1, False),
)
# Network, outputs, images, and random combinations of the outputs, for estimates.
ESTIMATES = (
    ("resnet18", 1000, 4, 30),
    ("resnet50", 1000, 4, 30),
    ("vit_b_16", 1000, 4, 30),
)


def comparisons() -> Tables:
    """By network: CPU time and peak memory, of the version in the folder BEFORE, too."""
    before = os.environ.get("BEFORE")
    tables = {}
    for name, outputs, images, compared in CASES:
        checkouts = {"flatness.measure": None}
        if before and compared:
            checkouts["version before"] = before
        title = f"{name}, {outputs} outputs, {images} image{'s' * (images > 1)}"
        found = {}
        for version, checkout in checkouts.items():
            found[version] = cost("imagenet:prepare", name, outputs, images, checkout=checkout)
            print(title, version, found[version], flush=True)
        tables |= _both(title, found)
    for name, outputs, images, probes in ESTIMATES:
        found = {f"{probes} probes": cost("imagenet:prepare", name, outputs, images, probes)}
        title = f"{name}, {outputs} outputs, {images} images"
        print(title, found, flush=True)
        tables |= _both(title, found)
    return tables


def _both(title: str, found: dict[str, Cost]) -> Tables:
    return {
        f"CPU time, {title}": rows(found, "seconds", "s"),
        f"peak memory, {title}": rows(found, "mebibytes", "MiB"),
    }


def rows(found: dict[str, Cost], what: str, unit: str) -> list[Row]:
    """One row each, over the first one, or why there is none."""
    base = getattr(next(iter(found.values())), what)
    return [
        Row(name, None, one.stopped)
        if one.stopped
        else Row(name, getattr(one, what), unit, getattr(one, what) / base if base else None)
        for name, one in found.items()
    ]


def prepare(name: str, outputs: int, images: int, probes: int | None = None, extent: int = 224):
    """A call for a tiny network, and the call that is watched, exact or with probes."""
    # The version before knows exact measurements only.
    options = {} if probes is None else {"probes": probes}
    network = torchvision_network(name, outputs)
    inputs = torch.rand(images, 3, extent, extent, generator=torch.Generator().manual_seed(0))
    tiny = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2)).eval()
    return (
        partial(flatness.measure, tiny, torch.rand(1, 3, 2, 2), **options),
        partial(flatness.measure, network, inputs, **options),
    )
