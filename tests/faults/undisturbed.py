"""The undisturbed run of a study, and the comparison of a disturbed one with it."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from tests.faults.study import Kind, LostError, Study

# They hold times; the file of all runs and the report tell those of all jobs.
_WITH_TIMES = ("logs", "benchmarks", "state")
_PAGE_WITH_TIMES = "report.html"
_FILES_WITH_TIMES = ("part.nc", _PAGE_WITH_TIMES)


class Undisturbed:
    """A study that nothing happened to.

    Args:
        kind: of the study.
        source: the copy of the repository that all studies of the kind run from.
        folder: where it is run.
    """

    def __init__(self, kind: Kind, source: Path, folder: Path):
        self.folder = folder
        study = Study(kind, source, folder)
        status, text = study.call(*kind.targets)
        if status:
            raise RuntimeError(f"the undisturbed run fails:\n{text}")
        self.files = _files(study)
        run = study.folder / study.product("train_run")
        self.checkpoints = load_file(run) if run.exists() else {}

    def check_unharmed(self, study: Study) -> None:
        """Every file with a final name is what it is in the undisturbed run.

        Raises:
            LostError: one is not.
        """
        for name, content in _files(study).items():
            if name not in self.files:
                raise LostError(f"{study.results / name} is no file of the undisturbed run")
            if content != self.files[name]:
                raise LostError(f"{study.results / name} differs from that of the undisturbed run")
        for path in study.state.glob("[0-9]*.safetensors"):
            try:
                self._check_checkpoint(path)
            except FileNotFoundError:  # its job has just finished
                continue

    def check_whole(self, study: Study) -> None:
        """Everything is there, equal and done; nothing is left of what happened.

        Raises:
            LostError: something is not.
        """
        study.wait_for_orphans()
        self.check_unharmed(study)
        if absent := sorted(set(self.files) - set(_files(study))):
            raise LostError(f"absent after starting again: {', '.join(absent)}")
        if study.state.exists() and list(study.state.glob("[0-9]*")):
            raise LostError(f"{study.state} is left behind")
        if locks := list((study.folder / ".snakemake/locks").glob("*")):
            raise LostError(f"{locks[0]} is left behind")
        status, text = study.call("--dry-run", *study.everything)
        if status or "Nothing to be done" not in text:
            raise LostError(f"it is not done:\n{text}")
        page = study.results / _PAGE_WITH_TIMES
        if page.exists() and not page.read_text().endswith("</html>\n"):
            raise LostError(f"{page} has no end")

    def _check_checkpoint(self, path: Path) -> None:
        tensors, iteration = load_file(path), int(path.stem)
        for name, found in tensors.items():
            if name.startswith("weights/"):
                expected = self.checkpoints[f"{iteration}/{name.removeprefix('weights/')}"]
                if not np.array_equal(found, expected):
                    raise LostError(f"{path}: {name} differs from that of the undisturbed run")


def _files(study: Study) -> dict[str, bytes]:
    """What lies under final names, by the path below the results folder."""
    found = {}
    for path in study.results.rglob("*"):
        name = path.relative_to(study.results)
        # As docs/running.md describes them.
        ours = path.name.startswith(".") and ".partial" in path.name
        if ours or name.parts[0] in _WITH_TIMES or path.name in _FILES_WITH_TIMES:
            continue
        try:
            if path.is_file():
                found[str(name)] = path.read_bytes()
        except FileNotFoundError:  # Snakemake has just deleted it
            continue
    return found
