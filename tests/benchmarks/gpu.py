"""On a GPU: training eagerly, as CUDA graphs and in several processes; measuring; the paper."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
import yaml

from competitors.floor import floor
from competitors.ours import ours
from networks import full, in_format
from rows import Row, Tables
from timing import compare
from training import advancing, images, plan

ROOT = Path(__file__).parents[2]
ITERATIONS, PER_GRAPH, BATCH_SIZE = 5000, 100, 20
PROCESSES = (1, 2, 4, 8)
MEASURED = {"vgg10": "VGG10 32x32x3", "mlp": "MLP 784-500-500-500-10"}


def comparisons() -> Tables:
    """Nothing where torch finds no GPU."""
    if not torch.cuda.is_available():
        return {}
    best: dict[str, float] = {}
    tables: dict[str, list[Row]] = {}
    where = torch.cuda.get_device_name()
    for name in MEASURED:
        rows = training(name, "cuda", ITERATIONS)
        best[name] = max(row.value for row in rows)
        tables[f"training {name} on {where}, batch {BATCH_SIZE}"] = rows
        tables[f"measuring, {MEASURED[name]} on {where}"] = measuring(name, "cuda")
    tables[f"training the paper's runs on {where}, projected"] = [
        Row(name, seconds / 60, "min") for name, seconds in projected(best).items()
    ]
    return tables


def training(name: str, device: str, iterations: int, processes=PROCESSES) -> list[Row]:
    """Iterations per second, summed over processes, and their ratio to one eager process."""
    rates = {"eager": rate(name, device, 0, iterations)}
    for count in processes:
        for label, length in (("eager", 0), (f"graphs of {PER_GRAPH}", PER_GRAPH)):
            several = f"{label}, {count} processes" if count > 1 else label
            if several not in rates:
                rates[several] = _side_by_side(count, name, device, length, iterations)
    base = rates["eager"]
    return [Row(way, value, "iterations/s", value / base) for way, value in rates.items()]


def rate(name: str, device: str, per_graph: int, iterations: int) -> float:
    """Iterations per second of one run, after a tenth of them."""
    chosen = plan(name, BATCH_SIZE, device=device, iterations_per_graph=per_graph)
    advance = advancing(chosen, *images(name))
    advance(iterations // 10)
    started = time.perf_counter()
    advance(iterations)  # waits for the GPU at its end
    return iterations / (time.perf_counter() - started)


def measuring(name: str, device: str) -> list[Row]:
    """A sweep over 100 samples against its floor."""
    network, inputs = in_format(*full(MEASURED[name]), torch.contiguous_format)
    network, inputs = network.to(device), inputs.to(device)
    frozen, _ = in_format(*full(MEASURED[name], 1), torch.contiguous_format)
    frozen = frozen.to(device).requires_grad_(False)
    ways = {
        "floor": lambda: floor(frozen, inputs).sum().item(),
        "flatness.measure": lambda: ours(network, inputs),
    }
    return compare(ways, "floor")


def projected(rates: dict[str, float]) -> dict[str, float]:
    """Seconds that training the runs of config.yaml takes, by network, at these rates."""
    settings = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    seconds = dict.fromkeys(rates, 0.0)
    for study in settings["studies"].values():
        runs = len(study["sweep"]) * len(study["seeds"])
        network = study["network"]["name"]
        seconds[network] += runs * study["iterations"] / rates[network]
    return seconds


def _side_by_side(count: int, *arguments) -> float:
    """The summed rate of processes that do the same at once."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, spawning) as processes:
        return sum(processes.map(rate, *([argument] * count for argument in arguments)))
