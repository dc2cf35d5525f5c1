"""Injecting faults into studies, and the account of what they survived."""

import random
import shutil
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from tests.faults.fault import Fault
from tests.faults.study import Kind, LostError, Study
from tests.faults.undisturbed import Undisturbed
from tests.workflow.small_workflow import copy_source

_AT_A_TIME = 2


@dataclass(frozen=True)
class Injection:
    """One fault that happened.

    Args:
        fault: which one.
        hit: what it hit, in a few words.
        lost: what was lost, in words; empty if nothing was.
        folder: where the study is kept if something was lost.
    """

    fault: Fault
    hit: str
    lost: str
    folder: Path

    def __str__(self) -> str:
        where = f"; kept in {self.folder}: {self.lost.splitlines()[0]}" if self.lost else ""
        return f"{'LOST' if self.lost else 'survived'}  {self.fault.name}: {self.hit}{where}"


class Harness:
    """Studies below one folder, and the undisturbed run of each kind.

    Args:
        folder: for all of them.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        # A shell that starts this in the background has it ignored, and so would the studies.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._undisturbed: dict[str, Undisturbed] = {}
        self._sources: dict[str, Path] = {}
        self._one_at_a_time = Lock()

    def inject(self, faults: Sequence[Fault], seed: int) -> Iterator[Injection]:
        """Let all faults happen, in a random order, several in each study; as each study ends.

        Args:
            faults: as often as each is to happen.
            seed: of the order, and of the moments.
        """
        draw = random.Random(seed)
        kinds = list({fault.kind.name: fault.kind for fault in faults}.values())
        groups = []
        for kind in kinds:
            of_kind = [fault for fault in faults if fault.kind is kind]
            draw.shuffle(of_kind)
            count = -(-len(of_kind) // kind.in_one_study)
            groups += [(kind, of_kind[k::count], draw.getrandbits(32)) for k in range(count)]
        draw.shuffle(groups)
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            at_work = [pool.submit(self._into_studies, *group) for group in groups]
            for done in as_completed(at_work):
                yield from done.result()

    def undisturbed(self, kind: Kind) -> Undisturbed:
        """The undisturbed run of a kind, computed when it is first asked for."""
        with self._one_at_a_time:
            if kind.name not in self._undisturbed:
                place = self.folder / kind.name.replace(" ", "_")
                (place / "source").mkdir(parents=True)
                copy_source(place / "source")
                if kind.edit:
                    kind.edit(place / "source")
                self._sources[kind.name] = place / "source"
                self._undisturbed[kind.name] = Undisturbed(kind, place / "source", place / "run")
            return self._undisturbed[kind.name]

    def study(self, kind: Kind, name: str) -> Study:
        """An empty study of a kind."""
        self.undisturbed(kind)
        return Study(kind, self._sources[kind.name], self.folder / "studies" / name)

    def clear(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.folder)

    def _into_studies(self, kind: Kind, faults: list[Fault], seed: int) -> list[Injection]:
        """Into one study, or into another after each loss."""
        draw, number, injections = random.Random(seed), 0, []
        while faults:
            study = self.study(kind, f"{seed}_{number}")
            if draw.random() < 0.5:
                study.copy_from(self.undisturbed(kind).folder)
            injections += self._into_one(study, faults, draw)
            number += 1
        return injections

    def _into_one(self, study: Study, faults: list[Fault], draw: random.Random) -> list[Injection]:
        """Into one study, until it is lost; what has survived is what the last comparison says.

        Faults are taken off the list as they happen.
        """
        undisturbed, made, lost, before = self.undisturbed(study.kind), [], "", 0
        try:
            while faults:
                fault, before = faults.pop(0), len(made)
                if study.locked and not study.running:
                    study.unlock()
                for hit in fault.inject(study, draw):
                    made.append((fault, hit))
                    undisturbed.check_unharmed(study)
            study.recover(*study.everything)
            undisturbed.check_whole(study)
        except LostError as error:
            lost = str(error)
            if len(made) == before:
                made.append((fault, "lost before it was over"))
            (study.folder / "lost.txt").write_text(lost)
        finally:
            study.end()
        if not lost:
            shutil.rmtree(study.folder)
        return [Injection(fault, hit, lost, study.folder) for fault, hit in made]
