"""What a fault is."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from study import ONE_RUN, Kind, Study


def _nothing_missing() -> str:
    return ""


@dataclass(frozen=True)
class Fault:
    """Something that happens to a study while it is computed.

    Args:
        family: the kind of fault, as the short table lists it.
        name: as the whole table lists it.
        inject: lets it happen to a study at a random moment and says in a few words what it hit.
            What it leaves behind may be half done, but nothing under a final name may be wrong.
        injections: in the full set.
        kind: of the studies that it is injected into.
        missing: why it cannot be injected on this machine; empty if it can.
    """

    family: str
    name: str
    inject: Callable[[Study, random.Random], str]
    injections: int
    kind: Kind = ONE_RUN
    missing: Callable[[], str] = _nothing_missing
