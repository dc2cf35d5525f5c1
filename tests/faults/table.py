"""The table of faults: a page, its numbers alone, and a short form in README."""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import page
from flatness.documentation import between
from harness import Injection

HEAD = ("fault", "injections", "survived", "lost")
_ALIGNED = ("---", "---:", "---:", "---:")


def counted(
    injections: Sequence[Injection], name: Callable[[Injection], str]
) -> list[tuple[str, str, str, str]]:
    """By name, in the order of the names: injections, survived and lost; the sums last."""
    whole, lost = Counter(), Counter()
    for injection in injections:
        for row in (name(injection), "all"):
            whole[row] += 1
            lost[row] += bool(injection.lost)
    rows = [*sorted(set(whole) - {"all"}), "all"]
    return [(row, str(whole[row]), str(whole[row] - lost[row]), str(lost[row])) for row in rows]


def as_markdown(injections: Sequence[Injection]) -> str:
    """A line about the machine and one row for each fault."""
    rows = counted(injections, lambda injection: injection.fault.name)
    return f"{page.machine()}\n\n{page.table([HEAD, _ALIGNED, *rows])}\n"


def write(injections: Sequence[Injection], folder: Path) -> None:
    """faults.csv and faults.md in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faults.md").write_text(as_markdown(injections))
    with (folder / "faults.csv").open("w", newline="") as file:
        rows = counted(injections, lambda injection: injection.fault.name)
        csv.writer(file, lineterminator="\n").writerows([HEAD, *rows])


def insert(injections: Sequence[Injection], readme: Path) -> None:
    """Put one row for each family between the markers in README."""
    rows = counted(injections, lambda injection: injection.fault.family)
    short = f"{page.machine()}:\n\n{page.table([HEAD, _ALIGNED, *rows])}"
    readme.write_text(between(readme, "faults", short))
