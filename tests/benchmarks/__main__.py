"""python -m tests.benchmarks FOLDER [PART ...]: run comparisons and write their tables."""

import importlib
import sys
from pathlib import Path

PARTS = (
    "measuring",
    "measuring_apart",
    "imagenet",
    "stages",
    "training",
    "growth",
    "workflow",
)
ROOT = Path(__file__).parents[2]


def main(folder: str, *chosen: str) -> None:
    """Run the parts one after the other, all of them if none is named."""
    unknown = sorted(set(chosen) - set(PARTS))
    if unknown:
        sys.exit(f"ONLY = {' '.join(unknown)}. Allowed: {', '.join(PARTS)}. Name one of these.")
    from flatness.experiment.device import configure
    from tests.benchmarks import page

    configure("cpu", 1)
    for part in chosen or PARTS:
        tables = importlib.import_module(f"tests.benchmarks.{part}").comparisons()
        page.write(tables, Path(folder), part)
        page.insert(tables, ROOT / "docs/speed.md", part)
        print(f"{part}\n{page.as_markdown(tables)}", flush=True)


if __name__ == "__main__":  # processes that measure memory import this file, too
    main(*sys.argv[1:])
