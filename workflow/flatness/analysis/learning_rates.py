"""Learning rates beside the loss they belong to.

The gradient of `half_squared_error` is N/2 times that of `mse`, whose mean runs over the N outputs,
too: a learning rate r of the one takes the steps of r N/2 of the other.
"""


def in_mse(learning_rate: float, loss: str, outputs: int) -> float | None:
    """The learning rate with which `mse` takes the same steps, or None where there is none.

    Args:
        learning_rate: of plain SGD.
        loss: see `flatness.experiment.losses`.
        outputs: number of outputs N.
    """
    return {"mse": learning_rate, "half_squared_error": learning_rate * outputs / 2}.get(loss)


def rate_in_words(learning_rate: float, loss: str, outputs: int) -> str:
    """Such as "0.1 (mse)", or "0.1 (half_squared_error; 0.5 in mse)"."""
    same = in_mse(learning_rate, loss, outputs)
    if same is None or loss == "mse":
        return f"{learning_rate:g} ({loss})"
    return f"{learning_rate:g} ({loss}; {same:g} in mse)"
