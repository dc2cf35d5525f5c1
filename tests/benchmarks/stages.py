"""Where the time of a measurement goes, stage by stage, and what its products need at least.

For comparison stands what a plain backward pass to inputs and weights takes, which has the
multiplications of the norms, as torch does them, but keeps no sample apart and takes no norm.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch

import flatness
from flatness.measurement import description, sums, traced, weight_forms
from flatness.measurement.decompositions import SingularValues
from flatness.measurement.element_forms import ElementForm
from flatness.measurement.frozen import FrozenNetwork
from flatness.measurement.jacobians import Columns
from flatness.measurement.weight_forms import WeightForm
from tests.benchmarks.competitors.floor import floor, floor_and_weights
from tests.benchmarks.networks import NETWORKS, full, in_format
from tests.benchmarks.rows import Row, Tables
from tests.benchmarks.timing import seconds, summarised

# By stage: what is timed, without what it calls of other stages.
STAGES = {
    "forward passes, recorded": [(FrozenNetwork, "record")],
    "structure and proofs": [(traced, "Structure"), (traced, "twin_of"), (traced, "prove")],
    "backward passes": [(torch.autograd, "grad")],
    "norms of parameter gradients": [
        (form, name) for form in (WeightForm, ElementForm) for name in ("__init__", "add", "finish")
    ],
    "norms of cotangents and inputs": [(sums, "sums_of_squares")],
    "Jacobians put together": [(Columns, "__init__"), (Columns, "put")],
    "singular values": [(SingularValues, "add"), (SingularValues, "values")],
    "operator norms of weights": [(description, "operator_norm")],
}
PLAIN = "gradients of inputs and weights by torch"
LIMIT = "products at the speed of large ones"


def comparisons() -> Tables:
    """By network: the floor, the whole, its stages, and the least that its products take."""
    return {f"stages of measuring, {name}": _stages(*full(name)) for name in NETWORKS}


def _stages(network, inputs, rounds: int = 15) -> list[Row]:
    network, inputs = in_format(network, inputs, torch.channels_last)
    flatness.measure(network, inputs)
    taken: dict[str, list[float]] = {}

    def note(name: str, one: float) -> None:
        taken.setdefault(name, []).append(one)

    for _ in range(rounds):
        network.requires_grad_(False)
        note("floor", seconds(lambda: floor(network, inputs)))
        network.requires_grad_(True)
        note(PLAIN, seconds(lambda: floor_and_weights(network, inputs)))
        with _timed() as exclusive:
            whole = seconds(lambda: flatness.measure(network, inputs))
        note("flatness.measure", whole)
        for name in STAGES:
            note(name, exclusive.get(name, 0.0))
        note("everything else", whole - sum(exclusive.values()))
        note(LIMIT, _multiplications(network, inputs) * _seconds_per_multiplication())
    return summarised(taken, "floor")


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
                whole = time.perf_counter() - started
                exclusive[stage] = exclusive.get(stage, 0.0) + whole - inner.pop()
                if inner:
                    inner[-1] += whole

        return run

    with ExitStack() as patches:
        for stage, places in STAGES.items():
            for place, name in places:
                patches.enter_context(patch.object(place, name, timed(stage, getattr(place, name))))
        yield exclusive


def _multiplications(network, inputs) -> float:
    """Those of gradients of weights and of pairs of positions; one in float64 counts as two."""
    total = 0.0
    products, grams = weight_forms.products, weight_forms.grams

    def counted_products(one, other, out):
        nonlocal total
        total += one.numel() * other.shape[2] * one.element_size() / 4
        return products(one, other, out)

    def counted_grams(matrices):
        nonlocal total  # a symmetric product takes half
        total += matrices.numel() * matrices.shape[1] * matrices.element_size() / 8
        return grams(matrices)

    with patch.multiple(weight_forms, products=counted_products, grams=counted_grams):
        flatness.measure(network, inputs)
    return total


def _seconds_per_multiplication(size: int = 1500) -> float:
    """In a product of large float32 matrices."""
    A = torch.rand(size, size).numpy()
    return min(seconds(lambda: A @ A) for _ in range(3)) / size**3
