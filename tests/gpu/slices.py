"""Runs one slice: rows that are known are passed over, and no step is begun that ends too late."""

from tests.gpu import bits, measured, paper, rates
from tests.gpu.findings import Findings
from tests.gpu.needs import ORDER
from tests.gpu.sizes import Sizes
from tests.gpu.step import NotInTimeError
from tests.gpu.time_left import Clock

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
