"""A small training loop that is recorded: run as a program, it says when it has begun to train."""

import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from flatness import Recorder

ITERATIONS, EVERY = 40, 4


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(108, 2),
    )


def data() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(60, 1, 8, 8, generator=generator)
    return inputs, (inputs.mean((1, 2, 3)) > 0).long()


def train(model: nn.Module, recorder: Recorder | None, iterations: int = ITERATIONS) -> list[dict]:
    """The state dict at each iteration that is recorded."""
    inputs, targets = data()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    states = []
    torch.manual_seed(2)
    for iteration in range(iterations + 1):
        if recorder is not None:
            recorder(model, iteration)
        if iteration % EVERY == 0:
            states.append({name: value.clone() for name, value in model.state_dict().items()})
        batch = torch.randint(0, len(inputs), (10,))
        optimiser.zero_grad()
        functional.cross_entropy(model(inputs[batch]), targets[batch]).backward()
        optimiser.step()
    return states


def main(path: str) -> None:
    """Train for ever so long, recorded in a file."""
    inputs, targets = data()
    recorder = Recorder(inputs[:12], targets[:12], every=EVERY, path=Path(path))
    print("begun", flush=True)
    train(network(), recorder, 100_000)


if __name__ == "__main__":
    main(sys.argv[1])
