"""Slice `measuring`: what a checkpoint takes against the least work, and where Gram matrices go."""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

import flatness
from flatness.experiment.networks import build
from tests.benchmarks.competitors.floor import floor
from tests.benchmarks.rows import Row
from tests.benchmarks.timing import compare
from tests.benchmarks.training import SHAPES
from tests.gpu.sizes import Sizes
from tests.gpu.step import Step
from tests.gpu.time_left import Clock

_OUTPUTS = 10


def steps(_folder: Path, device: str, sizes: Sizes) -> Iterator[Step]:
    """By network, and by extent of a Gram matrix."""
    for network in sizes.networks:
        for activation in ("relu", "tanh"):
            table = f"a checkpoint, {network}, {activation}, {sizes.samples} samples"
            take = partial(_checkpoint, network, activation, device, sizes)
            yield Step(table, "waits of curvature", sizes.begun, take)
    for extent in sizes.extents:
        table = f"singular values from 100 Gram matrices, {extent} x {extent}"
        yield Step(table, "on the device", sizes.begun, partial(_decompositions, extent, device))


def _checkpoint(
    name: str, activation: str, device: str, sizes: Sizes, _clock: Clock
) -> Iterator[Row]:
    network = build({"name": name, "activation": activation}, SHAPES[name], _OUTPUTS, 0)
    network = network.to(device).eval()
    generator = torch.Generator(device="cpu").manual_seed(0)
    inputs = torch.rand(sizes.samples, *SHAPES[name], generator=generator, device="cpu").to(device)
    targets = torch.zeros(len(inputs), _OUTPUTS, device=device)
    frozen = build({"name": name, "activation": activation}, SHAPES[name], _OUTPUTS, 0)
    frozen = frozen.to(device).eval().requires_grad_(False)
    ways: dict[str, Callable[[], object]] = {
        "floor": lambda: _least(frozen, inputs),
        "flatness.measure": lambda: flatness.measure(network, inputs),
        "flatness.curvature": lambda: flatness.curvature(network, inputs, targets),
    }
    yield from compare(ways, "floor", rounds=sizes.rounds, warm_up=1)
    for what in ("measure", "curvature"):
        yield _waits(f"waits of {what}", ways[f"flatness.{what}"], device)


def _least(network: nn.Module, inputs: Tensor) -> float:
    """The Jacobian to the inputs, as many samples at a time as `measure` takes."""
    return sum(float(floor(network, part).sum()) for part in inputs.split(100))


def _waits(name: str, run: Callable[[], object], device: str) -> Row:
    """How often Python waits for the GPU."""
    if device != "cuda":
        return Row(name, None, "only a GPU tells")
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return Row(name, sum("synchronizing" in str(each.message) for each in caught), "waits")


def _decompositions(extent: int, device: str, _clock: Clock) -> Iterator[Row]:
    generator = torch.Generator(device="cpu").manual_seed(0)
    rows = torch.rand(100, extent, 2 * extent, generator=generator, device="cpu").double()
    grams = (rows @ rows.mT).to(device)
    ways = {
        "copied to the CPU": lambda: torch.linalg.eigvalsh(grams.cpu()),
        "on the device": lambda: torch.linalg.eigvalsh(grams).cpu(),
    }
    yield from compare(ways, "copied to the CPU", rounds=3, warm_up=1)
