"""What networks were trained with, in words.

A learning rate belongs to its loss: wherever one is shown, the loss stands beside it, and where
that is not `mse`, the rate of `mse` that takes the same steps.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flatness.analysis.learning_rates import in_mse, trained_on

# By key of a run's settings, in the singular.
WORDS = {"learning_rate": "learning rate", "batch_size": "batch size"}


def network_in_words(plan: Mapping[str, Any]) -> str:
    """Such as "VGG10 (relu)", or the place of a network of one's own, from a run's settings."""
    network = plan["network"]
    if "factory" in network:
        return network["factory"]
    activation = f" ({network['activation']})" if "activation" in network else ""
    return network["name"].upper() + activation


def sgd_in_words(plans: Sequence[Mapping[str, Any]], outputs: int) -> str:
    """Loss, learning rates and batch sizes.

    Such as "plain SGD on half_squared_error at learning rates 0.05, 0.1 (0.25, 0.5 in mse) and
    batch size 20".

    Args:
        plans: the settings of runs of one study, at least one.
        outputs: number of outputs N of the network.
    """
    loss = plans[0]["loss"]
    rates = sorted({plan["learning_rate"] for plan in plans})
    sizes = sorted({plan["batch_size"] for plan in plans})
    steps = optimiser_in_words(plans[0].get("optimiser"))
    text = f"{steps} on {loss} at {_named('learning_rate', rates)}"
    if _differs_from_mse(trained_on(plans[0]), outputs):
        text += f" ({_listed([in_mse(rate, loss, outputs) for rate in rates])} in mse)"
    return f"{text} and {_named('batch_size', sizes)}"


def optimiser_in_words(optimiser: Mapping[str, Any] | None) -> str:
    """Such as "plain SGD" or "Adam (beta1 0.9, ...)", from the settings of one run or study."""
    if optimiser is None:
        return "plain SGD"
    named = {"sgd": "SGD", "adam": "Adam"}[optimiser["name"]]
    options = [
        f"{key.replace('_', ' ')} {str(value).lower() if isinstance(value, bool) else f'{value:g}'}"
        for key, value in optimiser.items()
        if key != "name" and value
    ]
    return f"{named} ({', '.join(options)})"


def name_in_words(key: str, loss: str, outputs: int) -> str:
    """What the values in a legend are, such as "learning rate of half_squared_error (in mse)".

    Args:
        key: "learning_rate" or "batch_size".
        loss: that the networks are trained with.
        outputs: number of outputs N of the network.
    """
    if key != "learning_rate":
        return WORDS[key]
    return f"{WORDS[key]} of {loss}{' (in mse)' if _differs_from_mse(loss, outputs) else ''}"


def value_in_words(key: str, value: float, loss: str, outputs: int) -> str:
    """One value of what `name_in_words` names, such as "0.05 (0.25)"."""
    if key != "learning_rate" or not _differs_from_mse(loss, outputs):
        return f"{value:g}"
    return f"{value:g} ({in_mse(value, loss, outputs):g})"


def _differs_from_mse(loss: str, outputs: int) -> bool:
    """Whether a learning rate of `mse` takes the same steps as another one of this loss."""
    return loss != "mse" and in_mse(1, loss, outputs) is not None


def _named(key: str, values: Sequence[float]) -> str:
    return f"{WORDS[key]}{'s' if len(values) > 1 else ''} {_listed(values)}"


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
