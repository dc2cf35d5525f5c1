"""What was found so far, kept in a folder after each step."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from flatness.storage import atomic_path
from tests.benchmarks.rows import Row


@dataclass(frozen=True)
class Finding:
    """A row of a table of a slice.

    Args:
        slice: its name.
        machine: where it was found.
        table: the heading.
        row: what was found.
    """

    slice: str
    machine: str
    table: str
    row: Row


class Findings:
    """All rows of all slices.

    Args:
        folder: where they are kept.
        machine: where those are found that are added.
    """

    def __init__(self, folder: Path, machine: str):
        self.folder, self.machine = folder, machine
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "findings.json"
        self._found: list[Finding] = []
        if self._file.exists():
            self._found = [
                Finding(**each | {"row": Row(**each["row"])})
                for each in json.loads(self._file.read_text())
            ]

    def all(self) -> list[Finding]:
        """In the order in which they were found first."""
        return list(self._found)

    def of(self, name: str) -> list[Finding]:
        """Those of one slice."""
        return [each for each in self._found if each.slice == name]

    def known(self, name: str, table: str, row: str) -> bool:
        """Whether a row was found on this machine before."""
        return self._place(name, table, row) is not None

    def put(self, name: str, table: str, row: Row) -> None:
        """Add a row, or replace that of this name, and keep all."""
        place, new = self._place(name, table, row.name), Finding(name, self.machine, table, row)
        if place is None:
            self._found.append(new)
        else:
            self._found[place] = new
        with atomic_path(self._file) as temporary:
            temporary.write_text(json.dumps([asdict(each) for each in self._found], indent=1))

    def _place(self, name: str, table: str, row: str) -> int | None:
        """Where a row of this machine is."""
        wanted = (name, self.machine, table, row)
        for k, each in enumerate(self._found):
            if (each.slice, each.machine, each.table, each.row.name) == wanted:
                return k
        return None


def by_machine(found: list[Finding]) -> Iterator[tuple[str, dict[str, list[Row]]]]:
    """By machine and heading, in the order in which they come."""
    for machine in dict.fromkeys(each.machine for each in found):
        tables: dict[str, list[Row]] = {}
        for each in found:
            if each.machine == machine:
                tables.setdefault(each.table, []).append(each.row)
        yield machine, tables
