"""Where the time of a measurement goes, stage by stage, and what its products need at least."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch

import flatness
from competitors.floor import floor
from flatness.measurement import layers, measuring, sweep
from flatness.measurement.layers import ClosedForm
from flatness.measurement.stacking import Stack
from flatness.measurement.tracing import FrozenNetwork
from networks import NETWORKS, full, in_format
from timing import Compared, summarised

# By stage: what is timed, without what it calls of other stages.
STAGES = {
    "forward pass, recorded": [(FrozenNetwork, "trace")],
    "backward passes": [(torch.autograd, "grad")],
    "norms of parameter gradients": [(ClosedForm, "__init__"), (ClosedForm, "add")],
    "Jacobians put together": [(Stack, "__init__"), (Stack, "put")],
    "singular values": [(sweep, "singular_values"), (sweep, "spectral_norms")],
    "operator norms of weights": [(measuring, "operator_norm")],
}
LIMIT = "products at the speed of large ones"


def comparisons() -> dict[str, list[Compared]]:
    """By network: the floor, the whole, its stages, and the least that its products take."""
    return {f"stages of measuring, {name}": _stages(*full(name)) for name in NETWORKS}


def _stages(network, inputs, rounds: int = 15) -> list[Compared]:
    network, inputs = in_format(network, inputs, torch.channels_last)
    flatness.measure(network, inputs)
    taken: dict[str, list[float]] = {}

    def note(name: str, seconds: float) -> None:
        taken.setdefault(name, []).append(seconds)

    for _ in range(rounds):
        network.requires_grad_(False)
        note("floor", _seconds(lambda: floor(network, inputs)))
        network.requires_grad_(True)
        with _timed() as exclusive:
            whole = _seconds(lambda: flatness.measure(network, inputs))
        note("flatness.measure", whole)
        for name in STAGES:
            note(name, exclusive.get(name, 0.0))
        note("everything else", whole - sum(exclusive.values()))
        note(LIMIT, _multiplications(network, inputs) * _seconds_per_multiplication())
    return summarised(taken, "floor")


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


@contextmanager
def _timed() -> Iterator[dict[str, float]]:
    """The seconds that each stage takes within the block."""
    exclusive: dict[str, float] = {}
    inner: list[float] = []

    def timed(stage: str, function: Callable) -> Callable:
        def run(*arguments, **named):
            inner.append(0.0)
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                seconds = time.perf_counter() - started
                exclusive[stage] = exclusive.get(stage, 0.0) + seconds - inner.pop()
                if inner:
                    inner[-1] += seconds

        return run

    with ExitStack() as patches:
        for stage, places in STAGES.items():
            for place, name in places:
                patches.enter_context(patch.object(place, name, timed(stage, getattr(place, name))))
        yield exclusive


def _multiplications(network, inputs) -> float:
    """Those of the closed forms' products; one in float64 counts as two."""
    total = 0.0
    products, grams = layers.products, layers.grams

    def counted_products(one, other):
        nonlocal total
        total += one.numel() * other.shape[2] * one.element_size() / 4
        return products(one, other)

    def counted_grams(matrices):
        nonlocal total  # a symmetric product takes half
        total += matrices.numel() * matrices.shape[1] * matrices.element_size() / 8
        return grams(matrices)

    with patch.multiple(layers, products=counted_products, grams=counted_grams):
        flatness.measure(network, inputs)
    return total


def _seconds_per_multiplication(size: int = 1500) -> float:
    """In a product of large float32 matrices."""
    A = torch.rand(size, size).numpy()
    return min(_seconds(lambda: A @ A) for _ in range(3)) / size**3
