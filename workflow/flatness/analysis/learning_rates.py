"""Learning rates beside the loss they belong to.

The gradient of `half_squared_error` is N/2 times that of `mse`, whose mean runs over the N outputs,
too: a learning rate r of the one takes the steps of r N/2 of the other.
"""

from collections.abc import Mapping
from typing import Any


def trained_on(plan: Mapping[str, Any]) -> str:
    """What a learning rate belongs to: the loss, and the optimiser where that is no plain SGD.

    Momentum leaves it as it is, since its steps are sums of gradients. Weight decay and Adam do
    not, so that there is no learning rate with which `mse` takes the same steps.

    Args:
        plan: the settings of a run or of a study.
    """
    optimiser = plan.get("optimiser")
    if optimiser is None or (optimiser["name"] == "sgd" and not optimiser["weight_decay"]):
        return plan["loss"]
    named = {"sgd": "weight decay", "adam": "Adam"}[optimiser["name"]]
    return f"{plan['loss']} with {named}"


def in_mse(learning_rate: float, loss: str, outputs: int) -> float | None:
    """The learning rate with which `mse` takes the same steps, or None where there is none.

    Args:
        learning_rate: of SGD.
        loss: see `flatness.experiment.losses`, or what `trained_on` gives.
        outputs: number of outputs N.
    """
    return {"mse": learning_rate, "half_squared_error": learning_rate * outputs / 2}.get(loss)


def rate_in_words(learning_rate: float, loss: str, outputs: int) -> str:
    """Such as "0.1 (mse)", or "0.1 (half_squared_error; 0.5 in mse)"."""
    same = in_mse(learning_rate, loss, outputs)
    if same is None or loss == "mse":
        return f"{learning_rate:g} ({loss})"
    return f"{learning_rate:g} ({loss}; {same:g} in mse)"
