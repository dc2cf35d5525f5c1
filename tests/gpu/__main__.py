"""python -m tests.gpu PAGE [SLICE ...]: what only a GPU can show, in slices of up to nine minutes.

Needs nothing but the repository and an environment with torch; `needs.py` names the packages of
each slice. What is found is kept in a folder (--state), so that a slice that is cut off, or called
again, goes on where it was. The page is written from all that is there; without a GPU it is not.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The package, where it is not installed.
sys.path.append(str(ROOT / "workflow"))

SECONDS = 540


def main(*words: str) -> None:
    """Run the slices that are named, or all, each within its time."""
    from tests.gpu.needs import ORDER, missing

    parser = argparse.ArgumentParser("python -m tests.gpu", description=__doc__)
    parser.add_argument("page", metavar="PAGE", help="such as docs/benchmarks/gpu.md")
    parser.add_argument("slices", metavar="SLICE", nargs="*", help=f"of {', '.join(ORDER)}")
    parser.add_argument("--state", default="results/gpu", help="folder (%(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a slice (%(default)s)")
    options = parser.parse_args(words)
    if unknown := sorted(set(options.slices) - set(ORDER)):
        sys.exit(f"SLICE {unknown[0]}. Allowed: {', '.join(ORDER)}. Name some of these.")
    chosen = options.slices or ORDER
    if absent := missing(chosen):
        sys.exit(
            f"{absent}. Allowed: an environment that has them, such as that of `make environment`. "
            "Install or carry them, or leave the slice out."
        )
    from flatness.errors import DeviceError
    from flatness.experiment.device import configure
    from tests.gpu import machine

    try:
        device = configure("cuda", 1)
    except DeviceError as error:
        sys.exit(f"{error} Nothing is measured, and {options.page} stays as it is.")
    from tests.gpu import gpu_page
    from tests.gpu.findings import Findings
    from tests.gpu.sizes import FULL
    from tests.gpu.slices import run

    found = Findings(Path(options.state), machine.described(device))
    for name in chosen:
        run(name, found, device.type, FULL, options.seconds)
        Path(options.page).write_text(gpu_page.markdown(found.all()))
        print(gpu_page.markdown(found.of(name)), flush=True)


if __name__ == "__main__":  # processes that train side by side import this file, too
    main(*sys.argv[1:])
