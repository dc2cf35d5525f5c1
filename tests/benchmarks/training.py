"""Training: iterations of one run on one thread, in several ways."""

import itertools
from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from flatness.experiment.networks import build
from flatness.experiment.sgd import AutogradStep
from flatness.experiment.training import TrainingPlan, _Loop
from tests.benchmarks.rows import Row, Tables
from tests.benchmarks.timing import compare

ITERATIONS = 100
BATCH_SIZES = (8, 20, 32)
SHAPES = {"vgg10": (3, 32, 32), "mlp": (1, 28, 28)}
_SAMPLES, _OUTPUTS, _LEARNING_RATE = 4000, 10, 0.1


def comparisons() -> Tables:
    """By network and batch size: all loops, compared with the bare one."""
    return {
        f"training, {name}, batch {size}: {ITERATIONS} iterations": _compare(name, size)
        for name in SHAPES
        for size in BATCH_SIZES
    }


def _compare(name: str, batch_size: int) -> list[Row]:
    inputs, labels = images(name)
    targets = functional.one_hot(labels, _OUTPUTS).float()
    ours = advancing(plan(name, batch_size), inputs, labels)
    by_autograd = advancing(plan(name, batch_size), inputs, labels, AutogradStep)
    ways = {
        "bare loop": _bare_loop(_network(name), inputs, targets, batch_size),
        "flatness": lambda: ours(ITERATIONS),
        "all gradients by autograd": lambda: by_autograd(ITERATIONS),
        "DataLoader and logging": _logging_loop(_network(name), inputs, targets, batch_size),
    }
    return compare(ways, "bare loop")


def images(name: str) -> tuple[Tensor, Tensor]:
    """Random images of the shape that a network takes, and their labels."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(_SAMPLES, *SHAPES[name], generator=generator)
    return inputs, torch.randint(0, _OUTPUTS, (_SAMPLES,), generator=generator)


def plan(name: str, batch_size: int, **changes: object) -> TrainingPlan:
    """That of a run."""
    return TrainingPlan(
        **{
            "run": "benchmark",
            "network": {"name": name},
            "loss": "mse",
            "learning_rate": _LEARNING_RATE,
            "batch_size": batch_size,
            "seed": 0,
            "iterations": ITERATIONS,
            "early_checkpoints": 1,
            "late_checkpoints": 1,
            "device": "cpu",
            "threads": 1,
            "iterations_per_graph": 0,
        }
        | changes
    )


def advancing(
    plan: TrainingPlan, inputs: Tensor, labels: Tensor, make_step: Callable | None = None
) -> Callable[[int], None]:
    """The loop of a run, as a function that does so many iterations more.

    Batch order from the seed, every loss recorded, watched for divergence; with another step
    than the run's if there is one.
    """
    images, classes = inputs.numpy(), labels.numpy()
    data = SimpleNamespace(
        train_inputs=images,
        train_targets=classes,
        test_inputs=images[:1],
        test_targets=classes[:1],
        outputs=_OUTPUTS,
    )
    loop = _Loop(plan, data, torch.device(plan.device))
    if make_step:
        loop.iterate.make_step = make_step
    done = 0

    def advance(iterations: int) -> None:
        nonlocal done
        loop.advance(done, done + iterations)
        done += iterations

    return advance


def _network(name: str) -> nn.Module:
    return build({"name": name}, SHAPES[name], _OUTPUTS, 0)


def _bare_loop(network: nn.Module, inputs: Tensor, targets: Tensor, batch_size: int):
    """A hand-written loop on tensors in PyTorch's default memory format."""
    optimiser = torch.optim.SGD(network.parameters(), lr=_LEARNING_RATE)

    def batches():
        while True:
            yield from torch.randperm(len(inputs)).split(batch_size)

    order = batches()

    def run() -> None:
        for batch in itertools.islice(order, ITERATIONS):
            optimiser.zero_grad()
            loss = functional.mse_loss(network(inputs[batch]), targets[batch])
            loss.backward()
            optimiser.step()

    return run


def _logging_loop(network: nn.Module, inputs: Tensor, targets: Tensor, batch_size: int):
    """A loop with a DataLoader that keeps every loss as a number."""
    optimiser = torch.optim.SGD(network.parameters(), lr=_LEARNING_RATE)
    loader = DataLoader(TensorDataset(inputs, targets), batch_size, shuffle=True)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    history = []

    def run() -> None:
        for x, y in itertools.islice(batches, ITERATIONS):
            optimiser.zero_grad()
            loss = functional.mse_loss(network(x), y)
            loss.backward()
            optimiser.step()
            history.append(loss.item())

    return run
