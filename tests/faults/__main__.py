"""python -m tests.faults FOLDER [FAMILY ...]: inject the full set and write the table of faults."""

import sys
import tempfile
from pathlib import Path

from tests.faults import table
from tests.faults.harness import Harness
from tests.faults.the_faults import FAULTS

ROOT = Path(__file__).parents[2]

SEED = 0


def main(folder: str, *chosen: str) -> None:
    """Inject the faults of all families, or of those that are named."""
    families = list(dict.fromkeys(fault.family for fault in FAULTS))
    if unknown := sorted(set(chosen) - set(families)):
        sys.exit(f"ONLY = {unknown[0]!r}. Allowed: {', '.join(families)}. Name some of these.")
    of_families = [fault for fault in FAULTS if not chosen or fault.family in chosen]
    for fault in of_families:
        if reason := fault.missing():
            print(f"skipped   {fault.name}: {reason}", flush=True)
    faults = [fault for fault in of_families if not fault.missing()]
    harness = Harness(Path(tempfile.mkdtemp(prefix="flatness_faults_")))
    made = []
    for injection in harness.inject([f for f in faults for _ in range(f.calls)], SEED):
        print(injection, flush=True)
        made.append(injection)
    rows = table.merged(Path(folder), table.rows(made))
    table.write(rows, Path(folder))
    table.insert(rows, ROOT / "docs/repeatability.md")
    print(table.as_markdown(table.rows(made)), flush=True)
    if any(injection.lost for injection in made):
        sys.exit(f"something was lost; the studies are kept in {harness.folder}/studies")
    harness.clear()


if __name__ == "__main__":
    main(*sys.argv[1:])
