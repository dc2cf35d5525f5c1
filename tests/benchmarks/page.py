"""The tables that the benchmarks write."""

import csv
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import torch

from timing import Compared

HEAD = ("comparison", "way", "milliseconds", "ratio", "lower quartile", "upper quartile")


def machine() -> str:
    """Processor, versions and date, for the line above a table."""
    return (
        f"{_processor()}, {os.cpu_count()} cores, one thread in use; Python "
        f"{platform.python_version()}, torch {torch.__version__} "
        f"({torch.backends.cpu.get_cpu_capability()}); {date.today().isoformat()}"
    )


def rows(tables: Mapping[str, Sequence[Compared]]) -> list[tuple[str, ...]]:
    """One for each way of each comparison, as text."""
    return [
        (
            comparison,
            row.name,
            f"{1000 * row.seconds:.4g}",
            *(f"{value:.2f}" for value in (row.ratio, row.least, row.most)),
        )
        for comparison, table in tables.items()
        for row in table
    ]


def as_markdown(tables: Mapping[str, Sequence[Compared]]) -> str:
    """A line about the machine and one table."""
    lines = [HEAD, ["---"] * 2 + ["---:"] * 4, *rows(tables)]
    return f"{machine()}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write(tables: Mapping[str, Sequence[Compared]], folder: Path, name: str) -> None:
    """NAME.csv and NAME.md in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(as_markdown(tables))
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([HEAD, *rows(tables)])


def _processor() -> str:
    """Its name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
