"""The table of faults: a page, its numbers alone, and a short form in docs/repeatability.md."""

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from datetime import date
from pathlib import Path

from tests.benchmarks import page
from tests.faults.harness import Injection
from tools.markers import between


@dataclass(frozen=True)
class Row:
    """What one fault, or all of a family, did."""

    family: str
    fault: str
    injections: int
    survived: int
    lost: int
    date: str


def rows(injections: Sequence[Injection]) -> list[Row]:
    """One for each fault that happened."""
    by_fault: dict[tuple[str, str], list[Injection]] = {}
    for injection in injections:
        key = (injection.fault.family, injection.fault.name)
        by_fault.setdefault(key, []).append(injection)
    return [
        _row(family, fault, len(made), sum(bool(each.lost) for each in made))
        for (family, fault), made in by_fault.items()
    ]


def merged(folder: Path, new: Sequence[Row]) -> list[Row]:
    """Those written before, with those of the families that are new in their place."""
    path, old = folder / "faults.csv", []
    if path.exists():
        with path.open(newline="") as file:
            old = [
                _row(family, fault, int(made), int(lost), day)
                for family, fault, made, _, lost, day in list(csv.reader(file))[1:]
            ]
    renewed = {row.family for row in new}
    return sorted(
        [*(row for row in old if row.family not in renewed), *new],
        key=lambda row: (row.family, row.fault),
    )


def write(table: Sequence[Row], folder: Path) -> None:
    """faults.csv and faults.md in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faults.md").write_text(f"# Injected faults\n\n{as_markdown(table)}")
    with (folder / "faults.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([_head(), *map(astuple, table)])


def as_markdown(table: Sequence[Row]) -> str:
    """A line about the machine, one row for each fault, and the sums."""
    cells = [[str(value) for value in astuple(row)] for row in [*table, _sum("all", table)]]
    aligned = ["---", "---", "---:", "---:", "---:", "---"]
    return f"{page.machine()}\n\n{page.markdown_table([_head(), aligned, *cells])}\n"


def insert(table: Sequence[Row], short: Path) -> None:
    """Put one row for each family between the markers of a page."""
    families = dict.fromkeys(row.family for row in table)
    sums = [_sum(family, [row for row in table if row.family == family]) for family in families]
    cells = [
        [row.family, str(row.injections), str(row.survived), str(row.lost)]
        for row in [*sums, _sum("all", table)]
    ]
    head = [["", "injections", "survived", "lost"], ["---", "---:", "---:", "---:"]]
    text = f"{page.machine()}:\n\n{page.markdown_table([*head, *cells])}"
    short.write_text(between(short.read_text(), "faults", text))


def _head() -> list[str]:
    return [field.name for field in fields(Row)]


def _row(family: str, fault: str, made: int, lost: int, day: str = "") -> Row:
    return Row(family, fault, made, made - lost, lost, day or date.today().isoformat())


def _sum(family: str, table: Sequence[Row]) -> Row:
    made, lost = sum(row.injections for row in table), sum(row.lost for row in table)
    return Row(family, "", made, made - lost, lost, "")
