"""The page of everything that was found on a GPU."""

from collections.abc import Sequence

from tests.benchmarks.page import HEAD, lines, markdown_table
from tests.gpu.findings import Finding, by_machine

_HEAD = """\
# On a GPU

`make gpu` writes this page: whether runs have the same bytes however they are run, how many
iterations of training a second takes, what a checkpoint takes, and how far the paper's runs came.
"""


def markdown(found: Sequence[Finding]) -> str:
    """Tables by machine."""
    parts = [_HEAD]
    aligned = ["---", "---", "---:", "---", "---:", "---:", "---:"]
    for machine, tables in by_machine(list(found)):
        parts.append(f"{machine}:\n\n{markdown_table([HEAD, aligned, *lines(tables)])}\n")
    return "\n".join(parts)
