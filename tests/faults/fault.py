"""What a fault is."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.faults.study import ONE_RUN, Kind, Study


def _nothing_missing() -> str:
    return ""


@dataclass(frozen=True)
class Fault:
    """Something that happens to a study while it is computed.

    Args:
        family: the kind of fault, as the short table lists it.
        name: as the whole table lists it.
        inject: lets it happen to a study at a random moment and yields in a few words what it hit,
            once for each time. The study may be half done then, but nothing under a final name may
            be wrong; after that `inject` does what only this fault needs for going on.
        calls: of `inject` in the full set.
        kind: of the studies that it is injected into.
        missing: why it cannot be injected on this machine; empty if it can.
    """

    family: str
    name: str
    inject: Callable[[Study, random.Random], Iterator[str]]
    calls: int
    kind: Kind = ONE_RUN
    missing: Callable[[], str] = _nothing_missing
