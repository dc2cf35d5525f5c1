"""What stays of the checkpoints of a run once nothing needs them any more.

A thinned run has a file of another name: measuring asks for all checkpoints, so a file that
holds fewer must not be taken for the run.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from flatness.experiment.checkpoints import TrainedRun, read_run, write_kept

log = logging.getLogger(__name__)

WHOLE, THINNED = "checkpoints.safetensors", "kept.safetensors"


def thin_measured(runs: Mapping[str, Sequence[str]], keep: str) -> None:
    """Thin those runs of which everything is measured.

    Args:
        runs: by the folder of a run, the files that its checkpoints are needed for.
        keep: see `thin`.

    Raises:
        StorageError, OSError: see `thin`.
    """
    for folder, products in runs.items():
        whole = Path(folder) / WHOLE
        if not whole.exists() or all(_is_newer(Path(product), whole) for product in products):
            thin(Path(folder), keep)


def thin(folder: Path, keep: str) -> None:
    """Replace a run's checkpoints by its training curve and the weights that are to stay.

    The checkpoints are deleted after what stays was written and read back; a call that was
    interrupted is completed by the next. What was dropped does not come back: after "none",
    "last" changes nothing.

    Args:
        folder: of the run; nothing happens if it holds no finished run.
        keep: "all", "last" or "none".

    Raises:
        StorageError: the run is damaged. It is left as it is.
        OSError: the file cannot be written. The run is left as it is.
    """
    whole, thinned = folder / WHOLE, folder / THINNED
    source = whole if whole.exists() else thinned
    if keep == "all" or not source.exists():
        return
    run = read_run(source)
    wanted = run.iterations[-1:] if keep == "last" else ()
    if not set(wanted) <= set(run.kept):
        log.warning("%s holds no weights any more; those of the last checkpoint are gone", thinned)
        return
    if source is whole or run.kept != wanted:
        write_kept(thinned, run, wanted)
        _read_back(read_run(thinned))
        whole.unlink(missing_ok=True)
        log.info("%s: kept %s", folder.name, "the last checkpoint" if wanted else "no checkpoint")


def _read_back(run: TrainedRun) -> None:
    """Compare the weights with their digests."""
    for iteration in run.kept:
        run.weights(iteration)


def _is_newer(product: Path, checkpoints: Path) -> bool:
    return product.exists() and product.stat().st_mtime_ns >= checkpoints.stat().st_mtime_ns
