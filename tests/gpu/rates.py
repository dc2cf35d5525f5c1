"""Slice `rates`: iterations per second, eager and as CUDA graphs, of one process and of several."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from flatness.experiment.device import configure
from tests.benchmarks.rows import Row
from tests.benchmarks.side_by_side import summed_rate
from tests.benchmarks.training import advancing, images, plan
from tests.gpu.mps import multi_process_service
from tests.gpu.sizes import Sizes
from tests.gpu.step import Step
from tests.gpu.time_left import Clock

BATCH_SIZE = 20


def steps(_folder: Path, device: str, sizes: Sizes) -> Iterator[Step]:
    """One for each network, number of processes, length of graphs, with and without MPS."""
    for shared in (False, True):
        for processes in sizes.processes:
            if shared and processes == 1:
                continue
            for graph in sizes.graphs:
                for network in sizes.networks:
                    table = f"iterations per second, {network}, batch {BATCH_SIZE}, all processes"
                    way = f"graphs of {graph}" if graph else "eager"
                    way += f", {processes} processes" if processes > 1 else ""
                    way += ", MPS" if shared else ""
                    take = partial(_rated, way, network, device, graph, processes, sizes, shared)
                    yield Step(table, way, sizes.begun + sizes.seconds, take)


def prepare(network: str, device: str, graph: int, at_once: int) -> Callable[[], int]:
    """In a process of its own: what does some iterations of a run and waits for them."""
    chosen = configure(device, 1)  # the settings that runs have
    of_run = plan(network, BATCH_SIZE, device=str(chosen), iterations_per_graph=graph)
    advance, iterations = advancing(of_run, *images(network)), max(graph, at_once)

    def step() -> int:
        advance(iterations)
        return iterations

    return step


def _rated(
    way: str,
    network: str,
    device: str,
    graph: int,
    processes: int,
    sizes: Sizes,
    shared: bool,
    _clock: Clock,
) -> Iterator[Row]:
    def rate() -> Row:
        try:
            found = summed_rate(
                processes, prepare, network, device, graph, sizes.at_once, seconds=sizes.seconds
            )
        except (RuntimeError, ValueError) as error:
            return Row(way, None, str(error)[:120])
        return Row(way, found, "iterations/s")

    if not shared:
        yield rate()
        return
    with multi_process_service() as problem:
        yield Row(way, None, problem) if problem else rate()
