"""Runs one slice: rows that are known are passed over, and no step is begun that ends too late."""

import bits
import measured
import paper
import rates
from findings import Findings
from needs import ORDER
from sizes import Sizes
from step import NotInTimeError
from time_left import Clock

_SLICES = dict(zip(ORDER, (bits, rates, measured, paper), strict=True))


def run(name: str, found: Findings, device: str, sizes: Sizes, seconds: float) -> None:
    """Go through the steps of a slice.

    Args:
        name: the slice.
        found: gains the rows.
        device: "cuda", or "cpu" in a rehearsal.
        sizes: how much is done.
        seconds: that it may take.
    """
    clock = Clock(seconds)
    for step in _SLICES[name].steps(found.folder, device, sizes):
        if not step.again and found.known(name, step.table, step.row):
            continue
        if not clock.allows(step.seconds):
            print(
                f"{name}: {step.table}, {step.row}: no time left, call the slice again", flush=True
            )
            continue
        try:
            for row in step.take(clock):
                found.put(name, step.table, row)
                print(f"{name}: {step.table}, {row.name}: {row.value} {row.unit}", flush=True)
        except NotInTimeError:
            print(f"{name}: {step.table}, {step.row}: cut off, call the slice again", flush=True)
