"""Warns of operations whose results differ from repetition to repetition.

On a GPU some operations add up numbers in the order in which threads happen to end. Torch takes
a repeatable way where it has one and is asked to; where it has none, the job goes on, since such
a network may be what somebody wants to study, and its log names the operation.
"""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch.utils import deterministic

log = logging.getLogger(__name__)

# What torch says of an operation that it cannot repeat.
_NOT_REPEATABLE = re.compile(r"(\S+) does not have a deterministic implementation")


def repeatable_operations(device: torch.device):
    """A context in which operations are repeatable, or named in the log; nothing on a CPU.

    Those of a CPU are, but for sums over another number of threads.
    """
    return nullcontext() if device.type == "cpu" else deterministic_or_named()


@contextmanager
def deterministic_or_named() -> Iterator[None]:
    """Choose deterministic algorithms, and log each operation once that has none."""
    before = torch.are_deterministic_algorithms_enabled()
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing here reads memory before it is written; filling takes a kernel for every tensor.
    deterministic.fill_uninitialized_memory = False
    named: set[str] = set()
    with warnings.catch_warnings():
        # Once more for each place would be once for each iteration.
        warnings.filterwarnings("always", message=_NOT_REPEATABLE.pattern)
        show = warnings.showwarning

        def note(message, category, filename, lineno, file=None, line=None):
            found = _NOT_REPEATABLE.match(str(message))
            if found is None:
                show(message, category, filename, lineno, file, line)
            elif found[1] not in named:
                named.add(found[1])
                log.warning("%s", _sentence(found[1]))

        warnings.showwarning = note
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=only_warned)
            deterministic.fill_uninitialized_memory = filled


def _sentence(operation: str) -> str:
    return (
        f"the operation {operation} has no repeatable implementation on this device, so the same "
        "run may end with other bits each time. For the same bits take it out of the network, or "
        "set device to cpu."
    )
