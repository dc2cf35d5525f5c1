"""Learning rates of one loss in terms of another, against gradient steps in torch."""

import pytest
import torch

from flatness.analysis.learning_rates import in_mse, rate_in_words, trained_on
from flatness.experiment.losses import loss_function


@pytest.mark.parametrize("outputs", [1, 3, 10])
def test_the_rate_in_mse_takes_the_same_step(outputs):
    generator = torch.Generator().manual_seed(0)
    inputs, targets = (
        torch.randn(7, outputs, dtype=torch.float64, generator=generator) for _ in "xy"
    )

    def step(loss: str, rate: float):
        weight = torch.eye(outputs, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(loss_function(loss)(inputs @ weight, targets), weight)
        return -rate * gradient

    same = in_mse(0.3, "half_squared_error", outputs)
    assert torch.allclose(step("half_squared_error", 0.3), step("mse", same), rtol=1e-14)
    assert in_mse(0.3, "mse", outputs) == 0.3


def test_cross_entropy_has_no_rate_in_mse():
    assert in_mse(0.3, "cross_entropy", 10) is None


def test_words():
    assert rate_in_words(0.1, "mse", 10) == "0.1 (mse)"
    assert rate_in_words(0.1, "half_squared_error", 10) == "0.1 (half_squared_error; 0.5 in mse)"
    assert rate_in_words(0.1, "cross_entropy", 10) == "0.1 (cross_entropy)"


ADAM = {"name": "adam", "weight_decay": 0}
MOMENTUM = {"name": "sgd", "momentum": 0.9, "weight_decay": 0}
DECAY = {"name": "sgd", "momentum": 0, "weight_decay": 0.1}


@pytest.mark.parametrize(
    ("optimiser", "words"),
    [
        ({}, "0.1 (half_squared_error; 0.5 in mse)"),
        ({"optimiser": MOMENTUM}, "0.1 (half_squared_error; 0.5 in mse)"),
        ({"optimiser": ADAM}, "0.1 (half_squared_error with Adam)"),
        ({"optimiser": DECAY}, "0.1 (half_squared_error with weight decay)"),
    ],
)
def test_steps_that_are_no_multiples_of_gradients_have_no_rate_in_mse(optimiser, words):
    plan = {"loss": "half_squared_error"} | optimiser
    assert rate_in_words(0.1, trained_on(plan), 10) == words
