"""The names of the losses, for readers that must not load torch."""

from typing import Literal

LossName = Literal["mse", "half_squared_error", "cross_entropy"]
