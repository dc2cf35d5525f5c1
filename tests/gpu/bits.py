"""Slice `bits`: all tests that take a GPU, and bytes that must be the same.

A run is trained and measured by processes of its own: twice; killed after some checkpoints and
started again; and beside other runs on the same card. Each with and without CUDA graphs.
"""

import json
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import torch

from flatness.experiment.device import device_name
from flatness.experiment.prepared import prepare
from flatness.jobs.fingerprint import fingerprint
from tests.benchmarks.rows import Row
from tests.experiment.short_run import DIGITS
from tests.gpu.sizes import Sizes
from tests.gpu.started import end, started
from tests.gpu.step import NotInTimeError, Step
from tests.gpu.time_left import Clock

NETWORKS = {
    "mlp": {"name": "mlp", "activation": "relu", "hidden_width": 500, "hidden_layers": 3},
    "vgg10": {"name": "vgg10", "activation": "relu"},
}
_TESTS = "tests on this device"
_ALONE, _AGAIN, _KILLED, _BESIDE = "alone", "again", "killed and resumed", "beside others"


def steps(folder: Path, device: str, sizes: Sizes) -> Iterator[Step]:
    """The comparisons, of most worth first, and the tests."""
    runs = _Runs(folder / "bits", device, sizes)
    for way in (_AGAIN, _KILLED, _BESIDE):
        for network in sizes.networks:
            for graph in sizes.graphs[:2]:
                table = f"the same bytes, {network}, {_in_words(graph)}"
                take = partial(runs.compared, network, graph, way)
                yield Step(table, way, 2 * sizes.begun, take)
    for tests in sizes.tests:
        yield Step(_TESTS, tests, sizes.begun, partial(_tested, tests))


def _in_words(graph: int) -> str:
    return f"graphs of {graph}" if graph else "eager"


def _tested(tests: str, clock: Clock) -> Iterator[Row]:
    """How many pass, and which do not."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "report.xml")
        words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", tests)
        with started(*words) as process:
            _wait(lambda: process.poll() is not None, clock)
        if not report.exists():
            yield Row(tests, None, "could not be run")
            return
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    bad = [
        str(c.get("name"))
        for c in cases
        if c.find("failure") is not None or c.find("error") is not None
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    said = f"passed, {skipped} skipped" + (f"; failed: {', '.join(bad)}" if bad else "")
    yield Row(tests, len(cases) - skipped - len(bad), said)


class _Runs:
    """Runs of one dataset, each in a folder of its own."""

    def __init__(self, folder: Path, device: str, sizes: Sizes):
        # Runs of other code, or on another card, are others.
        code = fingerprint("flatness.experiment.training", "flatness.measurement.run")
        card = device_name(torch.device(device)).replace(" ", "_")
        self._folder, self._device, self._sizes = folder / f"{card}_{code}", device, sizes
        self._dataset = self._folder / "digits.nc"

    def compared(self, network: str, graph: int, way: str, clock: Clock) -> Iterator[Row]:
        """Whether a run has the bytes of one that was alone."""
        if not self._dataset.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            prepare(DIGITS, self._folder, False, self._dataset, {})
        alone, other = (self._words(network, graph, each) for each in (_ALONE, way))
        if not _there(alone) and not self._run(alone, clock):
            yield Row(way, None, "the run itself failed, see its log")
            return
        ways: dict[str, Callable[[dict, Clock], bool]] = {
            _AGAIN: self._run,
            _KILLED: self._killed,
            _BESIDE: partial(self._beside, network, graph),
        }
        if ways[way](other, clock):
            yield Row(way, None, "equal" if _bytes(alone) == _bytes(other) else "DIFFERENT")
        else:
            yield Row(way, None, "failed, see its log")

    def _words(self, network: str, graph: int, name: str, iterations: int | None = None) -> dict:
        place = self._folder / f"{network}_{graph}_{name.replace(' ', '_')}"
        place.mkdir(parents=True, exist_ok=True)
        plan = {
            "run": "bits",
            "network": NETWORKS[network],
            "loss": "mse",
            "learning_rate": 0.1,
            "batch_size": 20,
            "seed": 0,
            "iterations": iterations or self._sizes.iterations,
            "early_checkpoints": 2,
            "late_checkpoints": 4,
            "device": self._device,
            "threads": 1,
            "iterations_per_graph": graph,
        }
        return {
            "plan": plan,
            "dataset": str(self._dataset),
            "trained": str(place / "run"),
            "state": str(place / "state"),
            "measured": str(place / "measured.nc") if iterations is None else "",
        }

    def _run(self, words: dict, clock: Clock) -> bool:
        log = Path(words["trained"]).with_suffix(".log")
        with started("-m", "tests.gpu.one_run", json.dumps(words), log=log) as process:
            _wait(lambda: process.poll() is not None, clock)
            return process.returncode == 0

    def _killed(self, words: dict, clock: Clock) -> bool:
        """Once after three checkpoints, if it is not through by then, and started again."""
        state = Path(words["state"])
        with started("-m", "tests.gpu.one_run", json.dumps(words)) as process:
            _wait(lambda: process.poll() is not None or len(list(state.glob("0*"))) >= 3, clock)
            end(process, signal.SIGKILL)
        return self._run(words, clock)

    def _beside(self, network: str, graph: int, words: dict, clock: Clock) -> bool:
        """While others train, which are ended after it."""
        with ExitStack() as others:
            states = []
            for k in range(self._sizes.others):
                other = self._words(network, graph, f"other {k}", 100_000_000)
                states.append(Path(other["state"]))
                others.enter_context(started("-m", "tests.gpu.one_run", json.dumps(other)))
            _wait(lambda: all(list(state.glob("0*")) for state in states), clock)
            return self._run(words, clock)


def _there(words: dict) -> bool:
    return Path(words["measured"]).exists()


def _bytes(words: dict) -> list[bytes]:
    return [Path(words[name]).read_bytes() for name in ("trained", "measured")]


def _wait(ask: Callable[[], object], clock: Clock) -> None:
    """Until something is so."""
    while not ask():
        if not clock.allows(0):
            raise NotInTimeError
        time.sleep(0.05)
