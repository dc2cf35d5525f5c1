"""python tests/benchmarks FOLDER [PART ...]: run comparisons and write their tables."""

import importlib
import sys
from pathlib import Path

from flatness.experiment.device import configure

PARTS = ("measuring", "stages", "training")


def main(folder: str, *chosen: str) -> None:
    """Run the parts one after the other, all of them if none is named."""
    import page

    unknown = sorted(set(chosen) - set(PARTS))
    if unknown:
        sys.exit(f"ONLY = {' '.join(unknown)}. Allowed: {', '.join(PARTS)}. Name one of these.")
    configure("cpu", 1)
    for part in chosen or PARTS:
        tables = importlib.import_module(part).comparisons()
        page.write(tables, Path(folder), part)
        print(f"{part}\n{page.as_markdown(tables)}", flush=True)


main(*sys.argv[1:])
